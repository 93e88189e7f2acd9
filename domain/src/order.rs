//! Rules of order.
