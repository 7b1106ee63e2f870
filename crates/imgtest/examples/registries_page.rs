//! Prints `docs/registries.md`: `cargo run -q -p imgtest --example registries_page > docs/registries.md`.
#![allow(clippy::print_stdout, reason = "a program that prints a page")]

fn main() {
    print!("{}", imgtest::registry::document());
}
