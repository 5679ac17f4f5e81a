//! `generate`: shell completions and manual pages.

use super::args::Generate;
use super::console::Console;
use super::{Program, Stop, command};
use clap_complete::Shell;
use serde_json::json;
use std::fs;
use std::path::PathBuf;

pub(super) fn generate(
    program: &Program,
    console: &mut Console,
    args: &Generate,
) -> Result<(), Stop> {
    let completions = args.directory.join("completions");
    let pages = args.directory.join("man");
    let failed = |path: &PathBuf| {
        let path = path.display().to_string();
        move |error: std::io::Error| Stop::Unusable(format!("{path}: {error}"))
    };
    fs::create_dir_all(&completions).map_err(failed(&completions))?;
    fs::create_dir_all(&pages).map_err(failed(&pages))?;
    let mut files = Vec::new();
    for shell in [
        Shell::Bash,
        Shell::Elvish,
        Shell::Fish,
        Shell::PowerShell,
        Shell::Zsh,
    ] {
        let mut command = command(program);
        let file = clap_complete::generate_to(shell, &mut command, program.name, &completions);
        files.push(file.map_err(failed(&completions))?);
    }
    let mut root = command(program);
    root.build();
    let verbs = root.get_subcommands().cloned().collect::<Vec<_>>();
    for verb in std::iter::once(root).chain(verbs) {
        let name = verb
            .get_display_name()
            .unwrap_or(verb.get_name())
            .to_owned();
        let path = pages.join(format!("{name}.1"));
        let mut page = Vec::new();
        let page_of = clap_mangen::Man::new(verb).title(name.to_uppercase());
        page_of.render(&mut page).map_err(failed(&path))?;
        fs::write(&path, page).map_err(failed(&path))?;
        files.push(path);
    }
    files.iter().for_each(|file| console.line(file.display()));
    let files: Vec<_> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    console.json(&json!({ "format": 1, "command": "generate", "files": files }));
    Ok(())
}
