//! What works on orders: each service joins the rules and the runtime in a page.
