//! Every SQL statement of the product, on SQLite and PostgreSQL
