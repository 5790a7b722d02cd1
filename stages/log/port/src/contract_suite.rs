//! Promises every engine keeps, run against each by its own tests.
