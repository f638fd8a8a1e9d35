//! Floor 8: networks as structs of their sizes, each with methods that write it as a graph.
//!
//! A graph ends in what the network says of its inputs (`logits`), of whatever batch and length; a loss is
//! [added](crate::train::with_loss). Its parameters are constants with PyTorch's names and layouts, drawn from a seed as PyTorch draws
//! them: a parameter's numbers depend on its name and the seed alone, so that all graphs of one network agree on them.
//!
//! ```
//! use gristmill::models::Cnn;
//! use gristmill::train::{self, Adam, LossKind, NamedLoss, Step, StepOptions};
//! use gristmill::Tensor;
//!
//! let network = Cnn { height: 8, width: 8, channels: [4, 4, 4], hidden: 8, ..Cnn::default() }.graph(1)?;
//! let learning = train::with_loss(&network, &NamedLoss::new(LossKind::cross_entropy(), "logits"))?;
//! let parameters = train::parameters(&learning, "loss");
//! let mut step = Step::cpu(&learning, StepOptions::new("loss", parameters, Adam { learning_rate: 0.01, ..Adam::default() }))?;
//! let image: Vec<f32> = (0..2 * 64).map(|k| (k % 7) as f32).collect();
//! let (image, target) = (Tensor::new([2, 1, 8, 8], &image)?, Tensor::vector(&[3i64, 5]));
//! let mut losses = Vec::new();
//! for _ in 0..5 {
//!     step.step_blocking(&[("image", image.view()), ("target", target.view())])?;
//!     losses.push(step.loss_blocking()?);
//! }
//! assert!(losses[4] < losses[0]);
//! # Ok::<(), gristmill::Error>(())
//! ```

mod anew;
mod gpt;
mod images;
mod initial;
mod layers;
mod pytorch;
mod recurrent;
mod seq2seq;
mod speech;

pub use anew::drawn_anew;
pub use gpt::Gpt;
pub use images::{Cnn, LeNet};
pub use pytorch::from_pytorch;
pub use seq2seq::Seq2Seq;
pub use speech::{Speech, Subsampling};
