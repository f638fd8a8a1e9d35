//! Memory for intermediate tensors: "Efficient Memory Management for Deep Neural Net Inference" (Pisarchyk and Lee 2020),
//! their shared objects and their offsets combined. WebGPU forbids one buffer as input and output of the same dispatch,
//! so one arena will not do; but several tensors may live in one buffer at a time, in different places, as long as no step
//! writes one of them while it binds another.

/// Alignment of a tensor within a buffer: WebGPU's default `minStorageBufferOffsetAlignment`.
const ALIGNMENT: u64 = 256;

/// Whether a tensor can be bound that starts with this element of a buffer.
pub(super) fn is_bindable(first: usize) -> bool {
    (first as u64 * 4).is_multiple_of(ALIGNMENT)
}

/// The most comparisons of tensors that the search makes: a few milliseconds.
const SEARCH: usize = 4_000_000;

/// A tensor that needs memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand {
    /// First step that binds it.
    pub first: usize,
    /// Last step that binds it.
    pub last: usize,
    /// Its size.
    pub bytes: u64,
    /// Tensors that some step binds together with it, writing one of the two.
    pub apart: Vec<usize>,
}

impl Demand {
    fn overlaps(&self, other: &Demand) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Sizes of buffers, and buffer and offset of each tensor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assignment {
    pub buffers: Vec<u64>,
    pub places: Vec<(usize, u64)>,
}

impl Assignment {
    fn bytes(&self) -> u64 {
        self.buffers.iter().sum()
    }
}

/// The largest sum of tensors that live at one step: no assignment needs less.
pub(super) fn lower_bound(tensors: &[Demand]) -> u64 {
    breadth(tensors).into_iter().max().unwrap_or(0)
}

/// The sum of tensors that live at each step.
fn breadth(tensors: &[Demand]) -> Vec<u64> {
    let steps = tensors.iter().map(|t| t.last + 1).max().unwrap_or(0);
    let mut breadth = vec![0u64; steps];
    for t in tensors {
        breadth[t.first..=t.last].iter_mut().for_each(|b| *b += t.bytes);
    }
    breadth
}

/// The smallest assignment found: the best of several greedy orders, improved by moving tensors within that order while
/// it is above the lower bound. No buffer exceeds `limit` unless a single tensor does.
pub(super) fn assign(tensors: &[Demand], limit: u64) -> Assignment {
    let sorted = |key: &dyn Fn(usize) -> (u64, u64)| {
        let mut order: Vec<usize> = (0..tensors.len()).collect();
        order.sort_by_key(|&i| (key(i), i));
        order
    };
    let breadth = breadth(tensors);
    let widest = |i: usize| breadth[tensors[i].first..=tensors[i].last].iter().copied().max().unwrap_or(0);
    let by_size = sorted(&|i| (u64::MAX - tensors[i].bytes, tensors[i].first as u64));
    let by_time = sorted(&|i| (tensors[i].first as u64, u64::MAX - tensors[i].bytes));
    let by_breadth = sorted(&|i| (u64::MAX - widest(i), u64::MAX - tensors[i].bytes));
    let candidates = [by_size, by_time, by_breadth].into_iter().map(|order| (greedy(tensors, &order, limit), order));
    let Some((mut best, mut order)) = candidates.min_by_key(|(assignment, _)| assignment.bytes()) else {
        return Assignment::default();
    };
    let bound = breadth.into_iter().max().unwrap_or(0);
    let count = tensors.len();
    let mut random = 0x9E37_79B9_7F4A_7C15u64;
    let mut draw = || {
        // Xorshift (Marsaglia 2003), from a fixed seed: the same graph always gets the same plan.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize % count
    };
    for _ in 0..SEARCH / (count * count).max(1000) {
        if best.bytes() <= bound {
            break;
        }
        let (from, to) = (draw(), draw());
        let moved = order.remove(from);
        order.insert(to, moved);
        let tried = greedy(tensors, &order, limit);
        if tried.bytes() <= best.bytes() {
            best = tried;
        } else {
            let moved = order.remove(to);
            order.insert(from, moved);
        }
    }
    best
}

/// Places each tensor in turn where the buffers must grow least; among such places a buffer of its own goes first, then the
/// tightest gap.
fn greedy(tensors: &[Demand], order: &[usize], limit: u64) -> Assignment {
    let mut result = Assignment { buffers: Vec::new(), places: vec![(0, 0); tensors.len()] };
    let mut residents: Vec<Vec<usize>> = Vec::new();
    let mut live: Vec<(u64, u64)> = Vec::new();
    for &index in order {
        let tensor = &tensors[index];
        let mut best = (tensor.bytes, 0, residents.len(), 0);
        'buffers: for (buffer, inside) in residents.iter().enumerate() {
            live.clear();
            for &other in inside.iter().filter(|r| tensors[**r].overlaps(tensor)) {
                if tensor.apart.contains(&other) {
                    continue 'buffers;
                }
                let start = result.places[other].1;
                live.push((start, (start + tensors[other].bytes).next_multiple_of(ALIGNMENT)));
            }
            live.sort_unstable();
            let size = result.buffers[buffer];
            let mut start = 0;
            for end in live.iter().map(|l| l.0).chain([u64::MAX]) {
                if start + tensor.bytes <= end {
                    let growth = (start + tensor.bytes).saturating_sub(size);
                    let gap = end.min(size.max(start + tensor.bytes)) - start - tensor.bytes;
                    if start + tensor.bytes <= limit {
                        best = best.min((growth, gap + 1, buffer, start));
                    }
                }
                start = live.iter().filter(|l| l.0 <= end).map(|l| l.1).max().unwrap_or(start).max(start);
            }
        }
        let (_, _, buffer, start) = best;
        if buffer == residents.len() {
            result.buffers.push(0);
            residents.push(Vec::new());
        }
        result.buffers[buffer] = result.buffers[buffer].max(start + tensor.bytes);
        residents[buffer].push(index);
        result.places[index] = (buffer, start);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(first: usize, last: usize, bytes: u64, apart: &[usize]) -> Demand {
        Demand { first, last, bytes, apart: apart.to_vec() }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let neighbours = |i: usize| [i.wrapping_sub(1), i + 1];
        let chain: Vec<Demand> = (0..6).map(|i| demand(i, i + 1, 64, &neighbours(i))).collect();
        let assignment = assign(&chain, 1 << 20);
        assert_eq!(assignment.buffers, [64, 64]);
        assert_eq!(lower_bound(&chain), 128);
        assert!((1..6).all(|i| assignment.places[i].0 != assignment.places[i - 1].0));
    }

    #[test]
    fn small_tensors_share_a_large_buffer_side_by_side() {
        // A large tensor, and later two small ones at the same time that no step binds together.
        let tensors = [demand(0, 1, 1024, &[]), demand(2, 5, 512, &[]), demand(3, 4, 300, &[])];
        assert_eq!(assign(&tensors, 1 << 20).buffers, [1024]);
        let apart = [demand(0, 1, 1024, &[]), demand(2, 5, 512, &[2]), demand(3, 4, 300, &[1])];
        assert_eq!(assign(&apart, 1 << 20).buffers, [1024, 300]);
    }
}
