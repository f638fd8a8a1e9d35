//! Which tensors of a plan share buffers.

use super::memory::{Demand, assign, lower_bound};
use super::tensors::LATER;
use super::types::{Place, Plan};

/// Gives the tensors of a plan that share buffers their places.
pub(super) fn assign_slots(plan: &mut Plan, lifetimes: &[(usize, usize)], max_buffer: u64) {
    let shared: Vec<usize> = (0..plan.tensors.len()).filter(|t| plan.tensors[*t].place == LATER).collect();
    let demands = demands(plan, &shared, lifetimes);
    let assignment = assign(&demands, max_buffer);
    for (tensor, &(buffer, offset)) in shared.into_iter().zip(&assignment.places) {
        plan.tensors[tensor].place = Place::Slot { buffer, offset };
    }
    plan.memory.peak = assignment.buffers.iter().sum();
    plan.memory.lower_bound = lower_bound(&demands);
    plan.shared = assignment.buffers;
}

/// What these tensors need, and which of them some step binds together, writing one of the two.
fn demands(plan: &Plan, shared: &[usize], lifetimes: &[(usize, usize)]) -> Vec<Demand> {
    let mut number = vec![None; plan.tensors.len()];
    shared.iter().enumerate().for_each(|(k, t)| number[*t] = Some(k));
    let demand = |t: &usize| {
        let (first, last) = lifetimes[*t];
        Demand { first, last, bytes: plan.tensors[*t].bytes, apart: vec![] }
    };
    let mut demands: Vec<Demand> = shared.iter().map(demand).collect();
    for step in plan.steps() {
        let storage = &plan.kernels[step.kernel].storage;
        for (a, _) in step.bindings.iter().zip(storage).filter(|(_, access)| access.writes()) {
            let a = plan.base(*a);
            for b in step.bindings.iter().map(|b| plan.base(*b)).filter(|b| *b != a) {
                if let (Some(a), Some(b)) = (number[a], number[b]) {
                    demands[a].apart.push(b);
                    demands[b].apart.push(a);
                }
            }
        }
    }
    demands
}
