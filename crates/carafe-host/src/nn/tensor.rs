//! Tensors: made by a guest or answered by a compute, and counted while a guest keeps them.

use std::sync::Arc;

use carafe_openvino::ElementType;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTableError};

use crate::bindings::ml::wasi::nn::tensor as wit;
use crate::resources::{Failure, Tensor, TensorType};
use crate::store::State;

/// Most dimensions of a tensor; OpenVINO's graphs have at most 5 here.
const MAX_RANK: usize = 8;

/// Replaces the generated `tensor.data`, which wants a vector of its own and so a
/// copy on the host for every read.
///
/// # Errors
/// If the interface has no such function.
pub(crate) fn share_data(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let data = |store: StoreContextMut<'_, State>, (tensor,): (Resource<Tensor>,)| {
        Ok((Arc::clone(&store.data().table.get(&tensor)?.data),))
    };
    linker.allow_shadowing(true);
    linker.instance("wasi:nn/tensor@0.2.0-rc-2024-10-28")?.func_wrap("[method]tensor.data", data)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl wit::Host for State {}

impl wit::HostTensor for State {
    fn new(&mut self, dimensions: Vec<u32>, ty: wit::TensorType, data: Vec<u8>) -> wasmtime::Result<Resource<Tensor>> {
        let tensor = match self.admit(&dimensions, &data) {
            Ok(()) => Tensor { dimensions, ty: kept(ty), data: Arc::new(data), refused: None },
            Err(failure) => {
                Tensor { dimensions: Vec::new(), ty: kept(ty), data: Arc::default(), refused: Some(failure) }
            }
        };
        Ok(self.table.push(tensor)?)
    }

    fn dimensions(&mut self, tensor: Resource<Tensor>) -> wasmtime::Result<Vec<u32>> {
        Ok(self.table.get(&tensor)?.dimensions.clone())
    }

    fn ty(&mut self, tensor: Resource<Tensor>) -> wasmtime::Result<wit::TensorType> {
        Ok(named(self.table.get(&tensor)?.ty))
    }

    fn data(&mut self, tensor: Resource<Tensor>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&tensor)?.data.to_vec())
    }

    fn drop(&mut self, tensor: Resource<Tensor>) -> wasmtime::Result<()> {
        self.take(tensor)?;
        Ok(())
    }
}

impl State {
    /// Whether a guest may keep a tensor; what is kept is counted.
    fn admit(&mut self, dimensions: &[u32], data: &[u8]) -> Result<(), Failure> {
        if dimensions.len() > MAX_RANK {
            let message = format!("a tensor has {} dimensions; at most {MAX_RANK} are allowed", dimensions.len());
            return Err(Failure::invalid(message));
        }
        self.quota.add_tensor(data.len() as u64).map_err(|exceeded| Failure::too_large("tensors", "bytes", exceeded))
    }

    /// Takes a tensor from the guest, and off its account.
    pub(super) fn take(&mut self, tensor: Resource<Tensor>) -> Result<Tensor, ResourceTableError> {
        let tensor = self.table.delete(tensor)?;
        self.quota.remove_tensor(tensor.data.len() as u64);
        Ok(tensor)
    }

    /// Gives an output to the guest, on its account.
    pub(super) fn keep(&mut self, tensor: Tensor) -> Result<Resource<Tensor>, Failure> {
        self.admit(&tensor.dimensions, &tensor.data)?;
        Ok(self.table.push(tensor)?)
    }
}

/// Each type of the interface, and as the host keeps it: the wide ones and the half ones by their
/// name in the specification alone.
const TYPES: [(wit::TensorType, TensorType); 7] = [
    (wit::TensorType::U8, TensorType::Known(ElementType::U8)),
    (wit::TensorType::I32, TensorType::Known(ElementType::I32)),
    (wit::TensorType::Fp32, TensorType::Known(ElementType::F32)),
    (wit::TensorType::Fp16, TensorType::Foreign("FP16")),
    (wit::TensorType::Bf16, TensorType::Foreign("BF16")),
    (wit::TensorType::Fp64, TensorType::Foreign("FP64")),
    (wit::TensorType::I64, TensorType::Foreign("I64")),
];

/// A type of the interface as the host keeps it.
fn kept(ty: wit::TensorType) -> TensorType {
    TYPES.into_iter().find(|(named, _)| *named == ty).map_or(TensorType::Foreign("unknown"), |(_, kept)| kept)
}

/// The same in the words of the interface.
fn named(ty: TensorType) -> wit::TensorType {
    TYPES.into_iter().find(|(_, kept)| *kept == ty).map_or(wit::TensorType::U8, |(named, _)| named)
}
