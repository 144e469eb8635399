use super::*;

fn faults(switches: &[(&str, &str)], seed: u64) -> Faults {
    let switches =
        switches.iter().map(|(point, rate)| (point.parse().unwrap(), rate.parse().unwrap())).collect();
    Faults::new(&switches, seed)
}

fn strikes(faults: &mut Faults, endpoint: Endpoint, calls: usize) -> String {
    let strike = |_| faults.strike(endpoint, FaultKind::hits_call).map_or('.', |_| 'x');
    (0..calls).map(strike).collect()
}

#[test]
fn every_name_reads_back_as_it_is_written() {
    let names = FaultKind::names();
    for name in names.chain(["ERROR_BAD_DUPLICATES", "ERROR: 1005", "html@res", "no_slot@in", "slow@load"]) {
        assert_eq!(name.parse::<FaultPoint>().unwrap().to_string(), name);
    }
    for wrong in ["htm", "html@", "html@out", "ERROR_"] {
        assert!(wrong.parse::<FaultPoint>().is_err(), "{wrong}");
    }
}

#[test]
fn a_rate_is_a_probability_or_every_nth_or_the_next_few() {
    for rate in ["0.25", "1/20", "next 3", "0", "1"] {
        assert_eq!(rate.parse::<Rate>().unwrap().to_string(), rate);
    }
    for wrong in ["1.01", "-0.1", "1/0", "NaN", "next", "often"] {
        assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
    }
    assert_eq!(strikes(&mut faults(&[("html", "1/3")], 1), Endpoint::ResPhp, 7), "..x..x.");
    assert_eq!(strikes(&mut faults(&[("html", "next 2")], 1), Endpoint::ResPhp, 4), "xx..");
}

#[test]
fn the_seed_decides_which_calls_a_probability_strikes() {
    let run = |seed| strikes(&mut faults(&[("hang", "0.3")], seed), Endpoint::InPhp, 200);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert!((30..90).contains(&run(1).matches('x').count()));
}

#[test]
fn a_fault_stays_on_its_endpoint() {
    let mut on_res = faults(&[("html@res", "1")], 1);
    assert_eq!(strikes(&mut on_res, Endpoint::InPhp, 2), "..");
    assert_eq!(strikes(&mut on_res, Endpoint::ResPhp, 2), "xx");
    let mut no_slot = faults(&[("no_slot", "1")], 1);
    assert_eq!(strikes(&mut no_slot, Endpoint::ResPhp, 1), ".");
    assert_eq!(strikes(&mut no_slot, Endpoint::InPhp, 1), "x");
}

#[test]
fn a_switch_that_stays_goes_on_counting_and_a_changed_one_begins_anew() {
    let mut faults = faults(&[("html", "1/3")], 1);
    assert_eq!(strikes(&mut faults, Endpoint::InPhp, 2), "..");
    faults.switch(&BTreeMap::from([("html".parse().unwrap(), Rate::Every(3))]));
    assert_eq!(strikes(&mut faults, Endpoint::InPhp, 1), "x");
    faults.switch(&BTreeMap::from([("html".parse().unwrap(), Rate::Next(1))]));
    assert_eq!(strikes(&mut faults, Endpoint::InPhp, 2), "x.");
    assert_eq!(faults.struck()["html"], 2);
}
