//! Every plan that once found a mistake holds.

use meshos_scenarios::scenes;
use meshos_sim::any::disappointment;
use meshos_sim::plan::Plan;
use meshos_sim::run::run;
use std::path::Path;

#[test]
fn every_regression_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut count = 0;
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("the folder is readable").path();
        let text = std::fs::read_to_string(&path).expect("a regression is a text");
        let plan = Plan::read(&scenes::plain(), &path, &text);
        let plan = plan.unwrap_or_else(|error| panic!("{error}"));
        let scene = scenes::named(&plan.scenario).expect("a scenario of that name");
        let report = run(&scene, &plan);
        let wrong = disappointment(&plan.expect, report.finding.as_ref());
        assert_eq!(wrong, None, "{}", path.display());
        assert!(text.starts_with("# "), "{} says what broke", path.display());
        count += 1;
    }
    assert!(count > 0, "there are regressions");
}
