//! The operator's REST contract: types, OpenAPI schema and client
