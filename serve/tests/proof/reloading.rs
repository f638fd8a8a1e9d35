//! Models that are loaded again under load.

use super::load::{Kept, resident, zeros};
use crate::client::post;
use crate::repositories::{empty, models, put};
use crate::support::ready;
use serde_json::json;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const ROUNDS: usize = 100;

#[test]
#[ignore = "takes minutes"]
fn a_hundred_reloads_lose_no_request() {
    let repository = empty("reloading");
    let model = |name: &str| fs::read(models().join(name).join("model.onnx")).expect("it is there");
    // Beside the one that is loaded again, one whose answers must stay what they are.
    put(&repository, "changing", &model("digit_cnn"), "");
    put(&repository, "staying", &model("g2p_en_encoder"), "");
    let server = ready(&repository, |_| {});
    let requests = ["changing", "staying"].map(|name| zeros(&server, name));
    let expected = requests.each_ref().map(|request| Kept::new(server.http).ask(request).body);
    let (done, mut memory) = (AtomicBool::new(false), vec![]);
    let answers: usize = thread::scope(|scope| {
        let ask = |which: usize| {
            let (mut connection, mut answers) = (Kept::new(server.http), 0);
            while !done.load(Ordering::Relaxed) {
                let answer = connection.ask(&requests[which]);
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert!(answer.body == expected[which], "an answer of another model");
                answers += 1;
            }
            answers
        };
        let askers: Vec<_> = [0, 0, 1].map(|which| scope.spawn(move || ask(which))).into_iter().collect();
        for round in 0..ROUNDS {
            let answer = post(server.http, "/v2/repository/models/changing/load", &[], b"");
            assert_eq!(answer.status, 200, "{}", answer.text());
            if round % 10 == 9 {
                memory.push(resident());
            }
        }
        done.store(true, Ordering::Relaxed);
        askers.into_iter().map(|asker| asker.join().expect("no request is lost")).sum()
    });
    println!("{}", json!({"what": "models reloaded under load", "reloads": ROUNDS, "answers": answers, "memory_mib": memory}));
}
