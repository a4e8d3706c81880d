//! Machine and project → `Detection`: facts with evidence, never decisions. Never fails as a whole, never writes.
