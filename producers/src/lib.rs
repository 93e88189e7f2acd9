//! What puts orders in: single orders, importers, load generator.
