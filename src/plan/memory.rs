//! Slots for intermediate tensors: "Efficient Memory Management for Deep Neural Net Inference" (Pisarchyk and Lee 2020),
//! shared objects. One slot is one buffer, so two tensors share a slot only when no step binds, and none between holds, both.

/// A tensor that needs a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// First step that binds it.
    pub first: usize,
    /// Last step that binds it.
    pub last: usize,
    /// Its size.
    pub bytes: u64,
}

impl Lifetime {
    fn overlaps(&self, other: &Lifetime) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Sizes of slots, and the slot of each tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assignment {
    pub slots: Vec<u64>,
    pub slot: Vec<usize>,
}

impl Assignment {
    fn bytes(&self) -> u64 {
        self.slots.iter().sum()
    }
}

/// The largest sum of tensors that live at one step: no assignment needs less.
pub(super) fn lower_bound(tensors: &[Lifetime]) -> u64 {
    let steps = tensors.iter().map(|t| t.last + 1).max().unwrap_or(0);
    let mut change = vec![0i128; steps + 1];
    for t in tensors {
        change[t.first] += i128::from(t.bytes);
        change[t.last + 1] -= i128::from(t.bytes);
    }
    let mut live = 0;
    let peak = change.into_iter().map(|c| {
        live += c;
        live
    });
    peak.max().unwrap_or(0) as u64
}

/// Comparisons of tensors that the search may spend: a few milliseconds.
const SEARCH: usize = 4_000_000;

/// The smallest assignment found: the best of several greedy orders, improved by moving tensors within that order while
/// it is above the lower bound.
pub(super) fn assign(tensors: &[Lifetime]) -> Assignment {
    let sorted = |key: &dyn Fn(usize) -> (u64, u64)| {
        let mut order: Vec<usize> = (0..tensors.len()).collect();
        order.sort_by_key(|&i| (key(i), i));
        order
    };
    let by_size = sorted(&|i| (u64::MAX - tensors[i].bytes, tensors[i].first as u64));
    let by_time = sorted(&|i| (tensors[i].first as u64, u64::MAX - tensors[i].bytes));
    let candidates = [by_size, by_time, by_breadth(tensors)].into_iter().map(|order| (greedy(tensors, &order), order));
    let Some((mut best, mut order)) = candidates.min_by_key(|(assignment, _)| assignment.bytes()) else {
        return Assignment::default();
    };
    let bound = lower_bound(tensors);
    let count = tensors.len();
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut draw = || {
        // Xorshift (Marsaglia 2003), from a fixed seed: the same graph always gets the same plan.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % count
    };
    for _ in 0..SEARCH / (count * count).max(1) {
        if best.bytes() <= bound {
            break;
        }
        let (from, to) = (draw(), draw());
        let moved = order.remove(from);
        order.insert(to, moved);
        let tried = greedy(tensors, &order);
        if tried.bytes() <= best.bytes() {
            best = tried;
        } else {
            let moved = order.remove(to);
            order.insert(from, moved);
        }
    }
    best
}

/// Tensors of the step with the most live bytes first, then of the next, and so on; large ones first within a step.
fn by_breadth(tensors: &[Lifetime]) -> Vec<usize> {
    let steps = tensors.iter().map(|t| t.last + 1).max().unwrap_or(0);
    let mut breadth = vec![0u64; steps];
    for t in tensors {
        breadth[t.first..=t.last].iter_mut().for_each(|b| *b += t.bytes);
    }
    let widest = |t: &Lifetime| breadth[t.first..=t.last].iter().copied().max().unwrap_or(0);
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&i| (u64::MAX - widest(&tensors[i]), u64::MAX - tensors[i].bytes, i));
    order
}

/// Each tensor in turn takes the free slot that fits best: the one that must grow least, then the one that wastes least.
fn greedy(tensors: &[Lifetime], order: &[usize]) -> Assignment {
    let mut result = Assignment { slots: Vec::new(), slot: vec![0; tensors.len()] };
    let mut residents: Vec<Vec<usize>> = Vec::new();
    for &index in order {
        let tensor = &tensors[index];
        let free = (0..residents.len()).filter(|s| !residents[*s].iter().any(|r| tensors[*r].overlaps(tensor)));
        let fit = |s: &usize| (tensor.bytes.saturating_sub(result.slots[*s]), result.slots[*s].saturating_sub(tensor.bytes));
        let slot = free.min_by_key(fit).unwrap_or_else(|| {
            result.slots.push(0);
            residents.push(Vec::new());
            residents.len() - 1
        });
        result.slots[slot] = result.slots[slot].max(tensor.bytes);
        residents[slot].push(index);
        result.slot[index] = slot;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_get_different_slots_and_a_chain_needs_two() {
        let chain: Vec<Lifetime> = (0..6).map(|i| Lifetime { first: i, last: i + 1, bytes: 64 }).collect();
        let assignment = assign(&chain);
        assert_eq!(assignment.slots, [64, 64]);
        assert_eq!(lower_bound(&chain), 128);
        assert!((1..6).all(|i| assignment.slot[i] != assignment.slot[i - 1]));
    }
}
