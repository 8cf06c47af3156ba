//! Compares the library's public surface with the listing in `docs/public-api.txt`, so that changes
//! show in review. `EFFNET_BLESS=1 cargo test --release --test public_api` rewrites the listing.
//!
//! The surface is read from the source, so what a macro writes is not listed, such as the types
//! that implement `AsInput`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Fields, ImplItem, Item, TraitItem, UseTree, Visibility};

const LISTING: &str = "docs/public-api.txt";

/// A module's items, including those in its files.
struct Module {
    items: Vec<Item>,
    modules: BTreeMap<String, (Module, Vec<Attribute>, bool)>,
}

impl Module {
    fn read(file: &Path, folder: &Path) -> Self {
        let text = std::fs::read_to_string(file).unwrap();
        let mut modules = BTreeMap::new();
        let mut items = Vec::new();
        for item in syn::parse_file(&text).unwrap().items {
            match item {
                Item::Mod(module) if module.content.is_none() => {
                    let name = module.ident.to_string();
                    let alone = folder.join(format!("{name}.rs"));
                    let inside = folder.join(&name);
                    let file = if alone.exists() { alone } else { inside.join("mod.rs") };
                    if !is_test(&module.attrs) {
                        let is_public = is_public(&module.vis) && !is_hidden(&module.attrs);
                        let module_of = Self::read(&file, &inside);
                        modules.insert(name, (module_of, module.attrs, is_public));
                    }
                }
                Item::Mod(_) => {}
                item => items.push(item),
            }
        }
        Self { items, modules }
    }

    /// Every `impl` in the module and in the modules below it.
    fn impls<'a>(&'a self, found: &mut Vec<&'a syn::ItemImpl>) {
        for item in &self.items {
            if let Item::Impl(item) = item {
                found.push(item);
            }
        }
        self.modules.values().for_each(|(module, ..)| module.impls(found));
    }

    /// The item of a `use` path below this module, and its conditions.
    fn find(&self, path: &[String]) -> Option<&Item> {
        let (first, rest) = path.split_first()?;
        if rest.is_empty() {
            let own = self.items.iter().find(|item| name(item).as_ref() == Some(first));
            // Or it is re-exported from further below.
            return own.or_else(|| {
                let uses = self.items.iter().filter_map(|item| match item {
                    Item::Use(item) => Some(leaves(&item.tree, &[])),
                    _ => None,
                });
                let path = uses.flatten().find(|(_, as_name)| as_name == first)?.0;
                if path.len() > 1 { self.find(&path) } else { None }
            });
        }
        match first.as_str() {
            "self" => self.find(rest),
            _ => self.modules.get(first)?.0.find(rest),
        }
    }
}

fn is_public(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn is_hidden(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident("doc") && text(attr).contains("hidden"))
}

fn is_test(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident("cfg") && text(attr).contains("test"))
}

/// Tokens on one line, with few spaces.
fn text(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" ::", "::"),
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (" :", ":"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("& ", "&"),
        (" ;", ";"),
        ("[ ", "["),
        (" ]", "]"),
        ("' ", "'"),
        ("# [", "#["),
        (" !", "!"),
        (" . . ", ".."),
    ] {
        text = text.replace(from, to);
    }
    text.replace("->", " -> ").replace("  ", " ").replace("- >", "->")
}

/// The features that an item needs.
fn conditions(attrs: &[Attribute]) -> String {
    let cfgs = attrs.iter().filter(|attr| attr.path().is_ident("cfg"));
    cfgs.map(|attr| text(attr) + " ").collect()
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Struct(item) if is_public(&item.vis) => &item.ident,
        Item::Enum(item) if is_public(&item.vis) => &item.ident,
        Item::Trait(item) if is_public(&item.vis) => &item.ident,
        Item::Fn(item) if is_public(&item.vis) => &item.sig.ident,
        Item::Const(item) if is_public(&item.vis) => &item.ident,
        Item::Static(item) if is_public(&item.vis) => &item.ident,
        Item::Type(item) if is_public(&item.vis) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The paths in a `use`, and the name of each.
fn leaves(tree: &UseTree, before: &[String]) -> Vec<(Vec<String>, String)> {
    let with = |name: &syn::Ident| {
        let mut path = before.to_vec();
        path.push(name.to_string());
        path
    };
    match tree {
        UseTree::Path(path) => leaves(&path.tree, &with(&path.ident)),
        UseTree::Name(name) => vec![(with(&name.ident), name.ident.to_string())],
        UseTree::Rename(renamed) => vec![(with(&renamed.ident), renamed.rename.to_string())],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| leaves(tree, before)).collect(),
        UseTree::Glob(_) => panic!("a glob hides what is public"),
    }
}

/// Lists what a module exports.
fn list(module: &Module, at: &str, impls: &[&syn::ItemImpl], lines: &mut Vec<String>) {
    for (name, (inner, attrs, is_public)) in &module.modules {
        if *is_public {
            lines.push(format!("{}mod {at}{name}", conditions(attrs)));
            list(inner, &format!("{at}{name}::"), impls, lines);
        }
    }
    for item in &module.items {
        if let Item::Use(item) = item
            && is_public(&item.vis)
            && !is_hidden(&item.attrs)
        {
            for (path, name) in leaves(&item.tree, &[]) {
                match module.find(&path) {
                    Some(found) => {
                        describe(
                            found,
                            &conditions(&item.attrs),
                            &format!("{at}{name}"),
                            impls,
                            lines,
                        );
                    }
                    None => lines.push(format!("use {at}{name} = {}", path.join("::"))),
                }
            }
        } else if let Some(name) = name(item) {
            describe(item, "", &format!("{at}{name}"), impls, lines);
        }
    }
}

/// Lists an item under its public name.
fn describe(
    item: &Item,
    conditions_of_use: &str,
    path: &str,
    impls: &[&syn::ItemImpl],
    lines: &mut Vec<String>,
) {
    let mut push = |attrs: &[Attribute], what: &str| {
        let open = attrs.iter().any(|attr| attr.path().is_ident("non_exhaustive"));
        let open = if open { "#[non_exhaustive] " } else { "" };
        lines.push(format!("{conditions_of_use}{}{open}{what}", conditions(attrs)));
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("derive")) {
            let traits = attr.meta.require_list().unwrap().tokens.to_string();
            traits.split(',').for_each(|t| lines.push(format!("impl {} for {path}", t.trim())));
        }
    };
    let fields = |fields: &Fields| -> Vec<String> {
        let named = |(i, field): (usize, &syn::Field)| {
            let name = field.ident.as_ref().map_or(i.to_string(), ToString::to_string);
            is_public(&field.vis).then(|| format!("{path}.{name}: {}", text(&field.ty)))
        };
        fields.iter().enumerate().filter_map(named).collect()
    };
    match item {
        Item::Struct(item) => {
            push(&item.attrs, &format!("struct {path}{}", text(&item.generics)));
            lines.extend(fields(&item.fields));
        }
        Item::Enum(item) => {
            push(&item.attrs, &format!("enum {path}{}", text(&item.generics)));
            for variant in &item.variants {
                let payload = |field: &syn::Field| {
                    let name = field.ident.as_ref().map(|ident| format!("{ident}: "));
                    name.unwrap_or_default() + &text(&field.ty)
                };
                let payload: Vec<String> = variant.fields.iter().map(payload).collect();
                let payload = match payload.is_empty() {
                    true => String::new(),
                    false => format!("({})", payload.join(", ")),
                };
                let conditions = conditions(&variant.attrs);
                lines.push(format!("{conditions}{path}::{}{payload}", variant.ident));
            }
        }
        Item::Trait(item) => {
            push(&item.attrs, &format!("trait {path}: {}", text(&item.supertraits)));
            for part in &item.items {
                if let TraitItem::Fn(function) = part {
                    let given = if function.default.is_some() { " (given)" } else { "" };
                    lines.push(format!("{path}: {}{given}", text(&function.sig)));
                }
            }
        }
        Item::Fn(item) => push(&item.attrs, &format!("{path}: {}", text(&item.sig))),
        Item::Const(item) => push(&item.attrs, &format!("const {path}: {}", text(&item.ty))),
        Item::Static(item) => push(&item.attrs, &format!("static {path}: {}", text(&item.ty))),
        Item::Type(item) => push(&item.attrs, &format!("type {path} = {}", text(&item.ty))),
        _ => {}
    }
    if !matches!(item, Item::Struct(_) | Item::Enum(_)) {
        return;
    }
    let own = name(item).unwrap();
    for item in impls {
        let syn::Type::Path(of) = &*item.self_ty else { continue };
        if of.path.segments.last().is_none_or(|segment| segment.ident != own) {
            continue;
        }
        let conditions = conditions(&item.attrs);
        match &item.trait_ {
            Some((path_of_trait, _)) => {
                lines.push(format!("{conditions}impl {} for {path}", text(path_of_trait)));
            }
            None => {
                for part in &item.items {
                    match part {
                        ImplItem::Fn(f) if is_public(&f.vis) && !is_hidden(&f.attrs) => {
                            let conditions_of_fn = self::conditions(&f.attrs);
                            let signature = text(&f.sig);
                            lines
                                .push(format!("{conditions}{conditions_of_fn}{path}: {signature}"));
                        }
                        ImplItem::Const(c) if is_public(&c.vis) => {
                            lines.push(format!(
                                "{conditions}const {path}::{}: {}",
                                c.ident,
                                text(&c.ty)
                            ));
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

fn surface() -> String {
    let source = PathBuf::from("src");
    let root = Module::read(&source.join("lib.rs"), &source);
    let mut impls = Vec::new();
    root.impls(&mut impls);
    let mut lines = Vec::new();
    list(&root, "", &impls, &mut lines);
    lines.sort();
    lines.dedup();
    lines.join("\n") + "\n"
}

#[test]
fn the_public_surface_is_the_listed_one() {
    let surface = surface();
    if std::env::var_os("EFFNET_BLESS").is_some() {
        std::fs::write(LISTING, &surface).unwrap();
    }
    let listed = std::fs::read_to_string(LISTING).unwrap_or_default();
    let only_in = |a: &str, b: &str| -> Vec<String> {
        let b: std::collections::HashSet<&str> = b.lines().collect();
        a.lines().filter(|line| !b.contains(line)).map(str::to_owned).collect()
    };
    let (added, gone) = (only_in(&surface, &listed), only_in(&listed, &surface));
    assert!(
        added.is_empty() && gone.is_empty(),
        "not as in {LISTING} (EFFNET_BLESS=1 writes it anew)\nadded:\n{}\ngone:\n{}",
        added.join("\n"),
        gone.join("\n")
    );
}

/// The walk finds what it should, and nothing else.
#[test]
fn the_listing_is_of_what_a_user_can_name() {
    let surface = surface();
    let has = |line: &str| surface.lines().any(|listed| listed == line);
    for line in [
        "struct Model",
        "Model: fn builder() -> ModelBuilder",
        "trait engine::Engine: Send + Sync + Debug",
        "#[cfg(feature = \"candle\")] mod models",
        "impl Clone for Classifier",
    ] {
        assert!(has(line), "{line}");
    }
    for word in ["Pass", "unstable", "pub(crate)", "Finder"] {
        assert!(!surface.contains(word), "{word}");
    }
}
