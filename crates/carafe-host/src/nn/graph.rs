//! Graphs by name, and their contexts.

use carafe_openvino::GraphKind;
use wasmtime::component::Resource;

use super::check_name;
use crate::bindings::ml::wasi::nn::graph::{self, ExecutionTarget, GraphEncoding};
use crate::limits::ContextKind;
use crate::resources::{Code, ExecutionContext, Failure, Graph};
use crate::store::State;

impl graph::Host for State {
    fn load(
        &mut self,
        _builder: Vec<Vec<u8>>,
        _encoding: GraphEncoding,
        _target: ExecutionTarget,
    ) -> wasmtime::Result<Result<Resource<Graph>, Resource<Failure>>> {
        let message = "`load` from bytes is refused: a guest names graphs that the host loaded; use `load-by-name`";
        self.answer(Err(Failure::new(Code::Security, message)))
    }

    fn load_by_name(&mut self, name: String) -> wasmtime::Result<Result<Resource<Graph>, Resource<Failure>>> {
        let graph = self.find_graph(&name);
        self.answer(graph)
    }
}

impl graph::HostGraph for State {
    fn init_execution_context(
        &mut self,
        graph: Resource<Graph>,
    ) -> wasmtime::Result<Result<Resource<ExecutionContext>, Resource<Failure>>> {
        let context = self.open_context(&graph);
        self.answer(context)
    }

    fn drop(&mut self, graph: Resource<Graph>) -> wasmtime::Result<()> {
        self.table.delete(graph)?;
        Ok(())
    }
}

impl State {
    fn find_graph(&mut self, name: &str) -> Result<Resource<Graph>, Failure> {
        check_name(name)?;
        let graph = self.graphs.get(name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.graphs.keys().map(|known| format!("`{known}`")).collect();
            let message = format!("no graph `{}`; this guest may use {}", name.escape_debug(), known.join(", "));
            Failure::new(Code::NotFound, message)
        })?;
        Ok(self.table.push(Graph(graph))?)
    }

    fn open_context(&mut self, graph: &Resource<Graph>) -> Result<Resource<ExecutionContext>, Failure> {
        let graph = self.table.get(graph)?.0.clone();
        let kind = match graph.kind() {
            GraphKind::Decoder(_) => ContextKind::Decoder,
            GraphKind::Classifier(_) => ContextKind::Stateless,
        };
        self.quota.add_context(kind).map_err(|exceeded| Failure::too_large(kind.name(), "contexts", exceeded))?;
        let context = graph.context().inspect_err(|_| self.quota.remove_context(kind))?;
        let context = self.table.push(ExecutionContext { context, kind });
        Ok(context.inspect_err(|_| self.quota.remove_context(kind))?)
    }
}
