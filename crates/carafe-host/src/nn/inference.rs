//! Computes: the inputs are taken from the guest, checked, and computed with; the outputs are its
//! own.

use std::time::Instant;

use carafe_openvino::TensorView;
use wasmtime::component::{Resource, ResourceTableError};

use super::check_name;
use crate::bindings::ml::wasi::nn::inference;
use crate::limits::{ComputeTime, thread_time};
use crate::resources::{ExecutionContext, Failure, Tensor, TensorType};
use crate::store::State;

/// Most tensors of one compute.
const MAX_INPUTS: usize = 64;

impl inference::Host for State {}

impl inference::HostGraphExecutionContext for State {
    fn compute(
        &mut self,
        context: Resource<ExecutionContext>,
        inputs: Vec<(String, Resource<Tensor>)>,
    ) -> wasmtime::Result<Result<Vec<(String, Resource<Tensor>)>, Resource<Failure>>> {
        let started = Instant::now();
        let outputs = self.compute_owned(&context, inputs);
        self.clock.add_host(started.elapsed());
        self.answer(outputs)
    }

    fn drop(&mut self, context: Resource<ExecutionContext>) -> wasmtime::Result<()> {
        let context = self.table.delete(context)?;
        self.quota.remove_context(context.kind);
        Ok(())
    }
}

impl State {
    /// Computes with tensors that are the host's from here on, whatever becomes of the call.
    fn compute_owned(
        &mut self,
        context: &Resource<ExecutionContext>,
        inputs: Vec<(String, Resource<Tensor>)>,
    ) -> Result<Vec<(String, Resource<Tensor>)>, Failure> {
        let inputs = inputs.into_iter().map(|(name, tensor)| Ok((name, self.take(tensor)?)));
        let inputs = inputs.collect::<Result<Vec<_>, ResourceTableError>>()?;
        let outputs = self.infer(context, &inputs)?;
        outputs.into_iter().map(|(name, tensor)| Ok((name, self.keep(tensor)?))).collect()
    }

    fn infer(
        &mut self,
        context: &Resource<ExecutionContext>,
        inputs: &[(String, Tensor)],
    ) -> Result<Vec<(String, Tensor)>, Failure> {
        let views = views(inputs)?;
        let context = self.table.get_mut(context)?;
        let (started, processor) = (Instant::now(), thread_time());
        let outputs = context.context.compute(&views);
        let processor = thread_time().saturating_sub(processor);
        self.clock.add_native(ComputeTime { wall: started.elapsed(), processor });
        self.clock.add_inference(context.context.inference());
        let outputs = outputs?.into_iter();
        Ok(outputs.map(|(name, output)| (name, Tensor::from(output))).collect())
    }
}

/// What the checks see of a guest's tensors.
fn views(inputs: &[(String, Tensor)]) -> Result<Vec<(&str, TensorView<'_>)>, Failure> {
    if inputs.len() > MAX_INPUTS {
        let message = format!("a compute has {} inputs; at most {MAX_INPUTS} are allowed", inputs.len());
        return Err(Failure::invalid(message));
    }
    inputs.iter().map(|(name, tensor)| Ok((name.as_str(), view(name, tensor)?))).collect()
}

fn view<'a>(name: &str, tensor: &'a Tensor) -> Result<TensorView<'a>, Failure> {
    check_name(name)?;
    if let Some(failure) = &tensor.refused {
        return Err(Failure::new(failure.code, format!("tensor `{}`: {failure}", name.escape_debug())));
    }
    let element = match tensor.ty {
        TensorType::Known(element) => element,
        TensorType::Foreign(ty) => {
            let name = name.escape_debug();
            return Err(Failure::invalid(format!("tensor `{name}` has type {ty}; tensors here are u8, i32 or f32")));
        }
    };
    Ok(TensorView { dims: &tensor.dimensions, element, data: &tensor.data })
}
