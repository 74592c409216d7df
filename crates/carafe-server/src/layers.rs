//! What stands between the listener and the handlers; each layer lets a request pass or refuses it.
//!
//! - `record`: an id, a deadline and a record for each request, and the bodies of errors
//! - `head`: what of a request's head is refused
//! - `host`: which hosts the server answers to
//! - `origin`: which web pages may use it, and CORS
//! - `keys`: API keys, and whose request it is
//!
//! `app` puts them in their order.

pub(crate) mod head;
pub(crate) mod host;
pub(crate) mod keys;
pub(crate) mod origin;
pub(crate) mod record;
