//! `cargo xtask measure`: how large files, functions and crates are, beside their budgets.
//!
//! Production code only: test files and `#[cfg(test)]` modules do not count, comments and blank lines do.

use std::path::{Path, PathBuf};

use fs_err as fs;
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::run::{Result, root};

/// A budget of CONTRIBUTING.md: median, ninetieth percentile, and where one must stop and split.
struct Budget {
    thing: &'static str,
    median: usize,
    p90: usize,
    stop: usize,
}

const FILES: Budget = Budget {
    thing: "file",
    median: 150,
    p90: 450,
    stop: 800,
};
const FUNCTIONS: Budget = Budget {
    thing: "function",
    median: 8,
    p90: 30,
    stop: 80,
};
const CRATES: Budget = Budget {
    thing: "crate",
    median: 2000,
    p90: 6000,
    stop: 8000,
};

/// One measured thing.
struct Size {
    name: String,
    lines: usize,
}

pub(crate) fn run() -> Result<()> {
    let root = root();
    let (mut files, mut functions, mut crates) = (Vec::new(), Vec::new(), Vec::new());
    for package in packages(&root)? {
        let mut total = 0;
        for path in sources(&package.join("src"))? {
            let name = path
                .strip_prefix(&root)
                .unwrap_or(&path)
                .display()
                .to_string();
            let measured = measure_file(&path, &name)?;
            total += measured.lines;
            functions.extend(measured.functions);
            files.push(Size {
                name,
                lines: measured.lines,
            });
        }
        let name = package
            .strip_prefix(&root)
            .unwrap_or(&package)
            .display()
            .to_string();
        crates.push(Size { name, lines: total });
    }
    println!(
        "{:<10} {:>7} {:>15} {:>15} {:>15}  largest",
        "thing", "count", "median (≤)", "p90 (≤)", "largest (≤)"
    );
    let mut over = print_row(&FILES, &mut files);
    over.extend(print_row(&FUNCTIONS, &mut functions));
    for large in print_row(&CRATES, &mut crates) {
        // To split a crate is a decision of ARCHITECTURE.md, not of this table.
        println!("over budget: {large}");
    }
    if over.is_empty() {
        Ok(())
    } else {
        Err(format!("split these:\n  {}", over.join("\n  ")))
    }
}

/// Prints one row and returns what is past the point where one must split.
fn print_row(budget: &Budget, sizes: &mut [Size]) -> Vec<String> {
    sizes.sort_by(|a, b| a.lines.cmp(&b.lines).then_with(|| a.name.cmp(&b.name)));
    let at = |hundredths: usize| {
        sizes
            .get(sizes.len() * hundredths / 100)
            .map_or(0, |size| size.lines)
    };
    let (largest, name) = sizes
        .last()
        .map_or((0, ""), |size| (size.lines, size.name.as_str()));
    println!(
        "{:<10} {:>7} {:>8} ({:>4}) {:>8} ({:>4}) {:>8} ({:>4})  {name}",
        budget.thing,
        sizes.len(),
        at(50),
        budget.median,
        at(90),
        budget.p90,
        largest,
        budget.stop,
    );
    sizes
        .iter()
        .filter(|size| size.lines > budget.stop)
        .map(|size| format!("{} {}: {} lines", budget.thing, size.name, size.lines))
        .collect()
}

fn packages(root: &Path) -> Result<Vec<PathBuf>> {
    let mut packages = vec![root.join("xtask")];
    for group in ["crates", "bins"] {
        for entry in fs::read_dir(root.join(group)).map_err(|error| error.to_string())? {
            packages.push(entry.map_err(|error| error.to_string())?.path());
        }
    }
    packages.sort();
    Ok(packages)
}

/// Returns the production sources below a directory, sorted: no tests, and nothing that a program wrote.
fn sources(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).map_err(|error| error.to_string())? {
            let path = entry.map_err(|error| error.to_string())?.path();
            let stem = path.file_stem();
            if stem.is_some_and(|stem| stem == "tests" || stem == "generated") {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

struct MeasuredFile {
    lines: usize,
    functions: Vec<Size>,
}

fn measure_file(path: &Path, name: &str) -> Result<MeasuredFile> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let file = syn::parse_file(&text).map_err(|error| format!("{name}: {error}"))?;
    let mut walker = Walker {
        file: name,
        functions: Vec::new(),
        test_lines: 0,
    };
    walker.visit_file(&file);
    let lines = text.lines().count().saturating_sub(walker.test_lines);
    Ok(MeasuredFile {
        lines,
        functions: walker.functions,
    })
}

/// Collects functions, and how many lines are tests.
struct Walker<'a> {
    file: &'a str,
    functions: Vec<Size>,
    test_lines: usize,
}

impl Walker<'_> {
    fn record(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let lines = lines_between(signature.span(), block.span());
        self.functions.push(Size {
            name: format!("{}: {}", self.file, signature.ident),
            lines,
        });
    }
}

impl<'ast> Visit<'ast> for Walker<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if module.attrs.iter().any(is_cfg_test) {
            self.test_lines += lines_between(module.span(), module.span());
        } else {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.record(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.record(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }
}

fn is_cfg_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident("test"))
}

fn lines_between(start: Span, end: Span) -> usize {
    (end.end().line + 1).saturating_sub(start.start().line)
}
