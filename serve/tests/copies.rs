//! How often a large tensor is copied on its way: each copy needs memory of its size.

use crate::proof::load::{Kept, kept};
use crate::repositories::{empty, multiplying, put};
use crate::support::ready;
use gristmill::graph::Dim;
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Elements of the tensor: 4 MB, and a number that no other test has.
const ELEMENTS: usize = 1_048_583;
const BYTES: usize = 4 * ELEMENTS;

/// Pieces of memory taken that could hold the tensor, and no request much longer than that.
static LARGE: AtomicUsize = AtomicUsize::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(size: usize) {
    if (BYTES..BYTES * 2).contains(&size) {
        LARGE.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn a_tensor_of_four_megabytes_is_copied_no_more_than_it_must() {
    let repository = empty("copies");
    put(&repository, "double", &multiplying(2.0, &[Dim::Named("batch".into()), Dim::Named("width".into())]), "");
    let server = ready(&repository, |_| {});
    let input = json!({"name": "x", "shape": [1, ELEMENTS], "datatype": "FP32", "parameters": {"binary_data_size": BYTES}});
    let mut body = json!({"inputs": [input], "parameters": {"binary_data_output": true}}).to_string().into_bytes();
    let json_length = body.len().to_string();
    body.extend((0..ELEMENTS).flat_map(|element| (element as f32).to_le_bytes()));
    let request = kept("/v2/models/double/infer", &[("Inference-Header-Content-Length", &json_length)], &body);
    let mut connection = Kept::new(server.http);
    // The plan is made by the first.
    for round in 0..3 {
        let before = LARGE.load(Ordering::Relaxed);
        let answer = connection.ask(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let tensor = &answer.body[answer.body.len() - BYTES..];
        assert!(tensor.chunks_exact(4).enumerate().all(|(k, bytes)| bytes == (2.0 * k as f32).to_le_bytes()));
        let found = LARGE.load(Ordering::Relaxed) - before;
        // The pieces of the body joined; the output; the answer in the client.
        assert!(round == 0 || found <= 3, "{found} copies");
    }
}
