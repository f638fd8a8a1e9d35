//! What can be known of a model's outputs before it runs: shapes are inferred for inputs of several extents, and what differs is open.

use gristmill::graph::{Dim, Graph};
use gristmill::internals::graph::Fact;
use gristmill::internals::passes::{Specialized, specialize};
use gristmill::{DType, Model, Session};

/// Lengths that open extents are tried with, until the model agrees with one. Images want many; positions end early.
const LENGTHS: [usize; 6] = [8, 16, 64, 224, 1000, 1];

/// What is known of an output: its name, its type, and its extents, of which some are open.
type Output = (String, Option<DType>, Option<Vec<Option<usize>>>);

/// An element type and a shape.
type Typed = (DType, Vec<usize>);

/// What was found.
pub(super) struct Probed {
    pub(super) outputs: Vec<Output>,
    /// For each output the axis that is the batch dimension, where there is one in each and nothing else changes with it.
    pub(super) axes: Option<Vec<usize>>,
}

/// Describes the outputs of a model, of which one dimension of the inputs may be that of batches.
pub(super) fn probe(model: &Model, session: &Session, batch: Option<&str>) -> Probed {
    let graph = model.graph();
    let names = session.outputs();
    let at = |rows: usize, length: usize| {
        let named: Vec<(&str, usize)> = batch.map(|name| (name, rows)).into_iter().collect();
        shapes(graph, &named, length)
    };
    let found = LENGTHS.into_iter().find_map(|length| Some((length, at(2, length)?)));
    let Some((length, first)) = found else {
        let dtypes = graph.dtypes();
        let dtype = |name: &String| graph.find(name).and_then(|id| dtypes[id.index()]);
        return Probed { outputs: names.iter().map(|name| (name.clone(), dtype(name), None)).collect(), axes: None };
    };
    let longer = [length * 2, length + 1, length - 1].into_iter().filter(|n| *n > 0).find_map(|length| at(2, length));
    let wider = at(3, length);
    let along = |(two, three): (&Typed, &Typed)| {
        let changes = |axis: &usize| two.1[*axis] != three.1[*axis];
        let axis = (0..two.1.len().min(three.1.len())).find(changes)?;
        let mut expected = two.1.clone();
        expected[axis] = 3;
        (two.1[axis] == 2 && expected == three.1).then_some(axis)
    };
    let axes = wider.as_ref().and_then(|wider| first.iter().zip(wider).map(along).collect());
    let others: Vec<_> = [&longer, &wider].into_iter().flatten().collect();
    let open = |index: usize, axis: usize, extent: usize| {
        others.len() < 2 || others.iter().any(|shapes| shapes[index].1.get(axis) != Some(&extent))
    };
    let described = first.iter().enumerate().map(|(index, (dtype, shape))| {
        let same_rank = others.iter().all(|shapes| shapes[index].1.len() == shape.len());
        let dims = shape.iter().enumerate().map(|(axis, extent)| (!open(index, axis, *extent)).then_some(*extent));
        (Some(*dtype), same_rank.then(|| dims.collect::<Vec<_>>()))
    });
    Probed { outputs: names.into_iter().zip(described).map(|(name, (dtype, dims))| (name, dtype, dims)).collect(), axes }
}

/// For each output the axis that is as long as a dimension of the inputs, where it has one, found by two lengths of it; and the names of outputs that
/// change with it in other ways. None where the model agrees with no lengths, or cannot say.
pub(super) fn carried(
    model: &Model,
    session: &Session,
    batch: Option<&str>,
    dimension: &str,
    [short, long]: [usize; 2],
) -> Option<Vec<Result<Option<usize>, String>>> {
    let graph = model.graph();
    let at = |extent: usize, length: usize| {
        let named: Vec<(&str, usize)> = batch.map(|name| (name, 2)).into_iter().chain([(dimension, extent)]).collect();
        shapes(graph, &named, length)
    };
    let (short_types, long_types) = LENGTHS.into_iter().find_map(|length| at(short, length).zip(at(long, length)))?;
    let axis = |((name, (_, short_shape)), (_, long_shape)): ((String, Typed), Typed)| {
        let changes = |axis: &usize| short_shape[*axis] != long_shape[*axis];
        let mut axes = (0..short_shape.len().min(long_shape.len())).filter(changes);
        match (axes.next(), axes.next()) {
            _ if short_shape.len() != long_shape.len() => Err(name),
            (None, _) => Ok(None),
            (Some(axis), None) if (short_shape[axis], long_shape[axis]) == (short, long) => Ok(Some(axis)),
            _ => Err(name),
        }
    };
    Some(session.outputs().into_iter().zip(short_types).zip(long_types).map(axis).collect())
}

/// The types of the outputs where dimensions of these names have these extents, and all others that are open a length; none where the model does
/// not agree or cannot say.
fn shapes(graph: &Graph, named: &[(&str, usize)], length: usize) -> Option<Vec<Typed>> {
    let fact = |input: &gristmill::internals::graph::Input| {
        let extent = |dim: &Dim| match dim {
            Dim::Known(extent) => *extent,
            Dim::Named(name) => named.iter().find(|(other, _)| other == name).map_or(length, |(_, extent)| *extent),
            Dim::Unknown => length,
        };
        let dims: Vec<usize> = input.dims.as_ref()?.iter().map(extent).collect();
        Some(Fact::new(input.dtype, dims))
    };
    let facts = graph.inputs().iter().map(fact).collect::<Option<Vec<_>>>()?;
    let Ok(Specialized::Graph(specialized)) = specialize(graph, &facts) else { return None };
    let of = |id: &gristmill::internals::graph::ValueId| {
        let fact = specialized.fact(*id).ok()?;
        Some((fact.dtype(), fact.shape().dims().to_vec()))
    };
    // An output that is returned and a state's, too, stands there twice, last for the state.
    let of_states = graph.states().iter().map(|state| graph.outputs().iter().rposition(|id| *id == state.output));
    let of_states: Vec<Option<usize>> = of_states.collect();
    let returned = specialized.outputs().iter().enumerate().filter(|(index, _)| !of_states.contains(&Some(*index)));
    returned.map(|(_, id)| of(id)).collect()
}
