//! The examples of docs/CAMPAIGNS.md can be read by what they are for, and what they run works.

use super::Tryout;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use yaml_rust2::{Yaml, YamlLoader};

fn text() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CAMPAIGNS.md");
    fs::read_to_string(file).expect("it is there")
}

/// The blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let (text, fence) = (text(), format!("```{language}\n"));
    let blocks = text.split(&fence).skip(1);
    let blocks = blocks.map(|block| block.split_once("```").expect("it ends").0);
    blocks.map(str::to_owned).collect()
}

fn yaml() -> [Yaml; 2] {
    let documents = blocks("yaml").into_iter().map(|block| {
        let mut documents = YamlLoader::load_from_str(&block).expect("YAML");
        assert_eq!(documents.len(), 1, "{block}");
        documents.remove(0)
    });
    let documents: Vec<_> = documents.collect();
    documents.try_into().expect("a workflow and a job")
}

/// Runs a command of the examples on a few seeds.
fn try_out(tryout: &Tryout, line: &str, variables: &[(&str, &str)]) {
    let (_, words) = line.split_once("meshos-dst").expect("it runs the program");
    let words = words.trim_start_matches(" -- ").replace(['"', '\''], "");
    let mut words = words.replace("20000", "40").replace("1000000", "40");
    for (name, value) in variables {
        words = words.replace(&format!("${name}"), value);
    }
    let mut command = tryout.command(&words.replace(" /results", " results"));
    command.env_remove("TRYOUT").envs(variables.iter().copied());
    let output = command.output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}: {told}");
}

#[test]
fn the_workflow_runs_every_shard_and_merges_them() {
    let tryout = Tryout::new("workflow");
    let [workflow, _] = yaml();
    assert!(blocks("yaml")[0].lines().count() <= 20, "it fits a screen");
    let sweep = &workflow["jobs"]["sweep"];
    let shards = sweep["strategy"]["matrix"]["shard"]
        .as_vec()
        .expect("a list");
    let run = |job: &Yaml, step: usize| job["steps"][step]["run"].as_str().map(str::to_owned);
    let line = run(sweep, 1).expect("it runs the shard");
    assert!(line.contains(&format!("/{} ", shards.len())), "{line}");
    for shard in shards {
        let shard = shard.as_i64().expect("a number").to_string();
        let line = line.replace("${{ matrix.shard }}", &shard);
        let line = line.replace("--out result", &format!("--out result-{shard}"));
        try_out(&tryout, &line, &[]);
    }
    let merge = &workflow["jobs"]["merge"];
    assert_eq!(merge["needs"].as_str(), Some("sweep"));
    let line = run(merge, 2).expect("it merges");
    let all: Vec<_> = (1..=shards.len())
        .map(|shard| format!("result-{shard}"))
        .collect();
    try_out(&tryout, &line.replace("result-*", &all.join(" ")), &[]);
    assert!(tryout.path("junit.xml").exists());
}

#[test]
fn the_indexed_job_says_how_many_shards_there_are() {
    let tryout = Tryout::new("indexed-job");
    let [_, job] = yaml();
    assert_eq!(job["kind"].as_str(), Some("Job"));
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"].as_str(), Some("Indexed"));
    let container = &spec["template"]["spec"]["containers"][0];
    let shards = &container["env"][0];
    assert_eq!(shards["name"].as_str(), Some("SHARDS"));
    let count = spec["completions"].as_i64().expect("a number").to_string();
    assert_eq!(shards["value"].as_str(), Some(&*count));
    let line = container["args"][0].as_str().expect("a command");
    let mut results = Vec::new();
    for index in 0..40 {
        let index = index.to_string();
        let variables = [("JOB_COMPLETION_INDEX", &*index), ("SHARDS", &*count)];
        try_out(&tryout, line, &variables);
        results.push(format!("results/{index}"));
    }
    let merge = "meshos-dst merge /results/*";
    assert!(text().contains(merge));
    try_out(
        &tryout,
        &merge.replace("/results/*", &results.join(" ")),
        &[],
    );
}

#[test]
fn the_array_is_a_script_and_its_tasks_find_their_shard() {
    let tryout = Tryout::new("array");
    let [script] = &blocks("sh")[..] else {
        panic!("there is one script");
    };
    let mut bash = Command::new("bash");
    let bash = bash.arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut bash = bash.spawn().expect("it is installed");
    let mut stdin = bash.stdin.take().expect("a pipe");
    stdin.write_all(script.as_bytes()).expect("it reads");
    drop(stdin);
    let output = bash.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.is_empty(), "{told}");
    let array = script
        .lines()
        .find_map(|line| line.strip_prefix("#SBATCH --array=1-"));
    let count = array.expect("it is an array");
    let line = script.lines().find(|line| line.contains("meshos-dst"));
    for id in ["1", count] {
        let variables = [
            ("SLURM_ARRAY_TASK_ID", id),
            ("SLURM_ARRAY_TASK_COUNT", count),
            ("SLURM_ARRAY_TASK_MIN", "1"),
        ];
        try_out(&tryout, line.expect("it runs the program"), &variables);
    }
}
