//! A network written in Rust instead of imported: two dense layers, with the hidden layer tapped.

use gristmill::graph::{Builder, Dim};
use gristmill::operators::{binary, matmul, softmax, unary};
use gristmill::{DType, Gpu, Model, Options, Power, Session, Tensor};

fn main() -> gristmill::Result<()> {
    let mut b = Builder::new("classifier");
    let x = b.input("x", DType::F32, &[Dim::Named("batch".into()), Dim::Known(2)]);
    let w1 = b.constant("w1", Tensor::new([2, 3], &[1.0f32, -1.0, 0.5, 0.5, 1.0, -1.0])?);
    let b1 = b.constant("b1", Tensor::vector(&[0.0f32, 0.1, 0.2]));
    let w2 = b.constant("w2", Tensor::new([3, 2], &[1.0f32, 0.0, 0.0, 1.0, 1.0, -1.0])?);

    let product = b.node("product", matmul(), &[Some(x), Some(w1)]);
    let sum = b.node("sum", binary("Add")?, &[Some(product), Some(b1)]);
    let hidden = b.node("hidden", unary("Relu")?, &[Some(sum)]);
    let logits = b.node("logits", matmul(), &[Some(hidden), Some(w2)]);
    let y = b.node("y", softmax(-1), &[Some(logits)]);
    b.output("y", y)?;
    let model = Model::from_graph(b.finish()?);

    let gpu = Gpu::new_blocking(Power::High)?;
    let options = Options { taps: vec!["hidden".into()], ..Options::default() };
    let session = Session::new_blocking(&gpu, &model, options)?;
    let input = Tensor::new([2, 2], &[1.0f32, 2.0, -1.0, 0.5])?;
    let outputs = session.run_blocking(&[("x", input.view())])?;
    for (name, tensor) in outputs.iter() {
        println!("{name} {}: {:?}", tensor.ty(), tensor.as_slice::<f32>()?);
    }
    Ok(())
}
