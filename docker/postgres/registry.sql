-- The registry keeps what is registered in a database of its own, beside the services'.
CREATE DATABASE registry;
