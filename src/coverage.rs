//! What will be traced by which set, and what not. Pure.
