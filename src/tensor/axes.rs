//! Axes that several walks over one shape take together.

/// An axis, or neighbours that are walked as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinedAxis<const N: usize> {
    /// Its extent.
    pub extent: usize,
    /// The step of each walk along it.
    pub strides: [i64; N],
}

/// The fewest axes over which `N` walks of one shape meet the same elements in the same order, the outermost first: extents of 1 are
/// left out, and neighbours are joined where every walk goes on without a gap. A shape of one element has none.
pub fn joined_axes<const N: usize>(shape: &[usize], strides: [&[i64]; N]) -> Vec<JoinedAxis<N>> {
    let mut axes: Vec<JoinedAxis<N>> = Vec::new();
    for (k, &extent) in shape.iter().enumerate().filter(|(_, extent)| **extent != 1) {
        let steps = strides.map(|walk| walk[k]);
        match axes.last_mut() {
            Some(outer) if outer.strides == steps.map(|step| step * extent as i64) => {
                *outer = JoinedAxis { extent: outer.extent * extent, strides: steps };
            }
            _ => axes.push(JoinedAxis { extent, strides: steps }),
        }
    }
    axes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_joined_where_no_walk_has_a_gap() {
        // [2, 3, 4, 5] with the first two axes exchanged, and the row-major tensor that this becomes.
        let (from, to) = ([20, 60, 5, 1], [40, 20, 5, 1]);
        let expected = [(3, [20, 40]), (2, [60, 20]), (20, [1, 1])].map(|(extent, strides)| JoinedAxis { extent, strides });
        assert_eq!(joined_axes(&[3, 2, 4, 5], [&from, &to]), expected);
        assert_eq!(joined_axes(&[3, 2, 4, 5], [&to]), [JoinedAxis { extent: 120, strides: [1] }]);
    }

    #[test]
    fn extents_of_one_are_left_out() {
        assert_eq!(joined_axes(&[3, 1, 4], [&[4, 7, 1]]), [JoinedAxis { extent: 12, strides: [1] }]);
        assert_eq!(joined_axes(&[1, 1], [&[9, 9]]), []);
    }
}
