//! Who asks: what goes with a request from its head to its end.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::deadline::Deadline;
use crate::error::ApiError;
use crate::record::Record;
use crate::server::Server;
use crate::tenant::Tenant;

/// A request's record, deadline and tenant, and the server that it came to. The layers before the
/// handlers leave them among the request's extensions.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) server: Server,
    pub(crate) record: Record,
    pub(crate) deadline: Deadline,
    pub(crate) tenant: Tenant,
}

impl FromRequestParts<Server> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, server: &Server) -> Result<Self, ApiError> {
        Ok(Self {
            server: server.clone(),
            record: extension(parts)?,
            deadline: extension(parts)?,
            tenant: extension(parts)?,
        })
    }
}

/// What a layer has left; a route that stands behind no such layer is a fault of this server.
fn extension<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Result<T, ApiError> {
    let found = parts.extensions.get::<T>().cloned();
    let detail = || format!("no layer has left a {}", std::any::type_name::<T>());
    found.ok_or_else(|| ApiError::Internal { detail: detail() })
}
