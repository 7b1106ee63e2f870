//! Builders, checkers and doubles for imgkit's tests.
