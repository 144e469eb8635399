//! The command line of `capgate simulate`.

use std::net::SocketAddr;

use clap::Args;

use super::faults::{FaultPoint, Rate};
use super::scenario::{BatchCountsAs, DEFAULT_KEY, Key, Scenario, ScenarioError};
use super::solving::SolveTimes;
use super::values::{Malformed, Money, Span};

/// Where the simulator listens, and its switches.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub switches: Switches,
}

/// The switches that the command line has; the others keep their defaults and can be changed by `POST /scenario`.
#[derive(Args, Clone)]
pub struct Switches {
    /// The account's key, 32 symbols
    #[arg(long, default_value = DEFAULT_KEY)]
    key: String,
    /// Decides ids, prices, solve times and faults
    #[arg(long, default_value_t = Scenario::default().seed)]
    seed: u64,
    /// real (images 5-20 s, tokens 15-60 s), fast (50-200 ms), or MIN-MAX in milliseconds
    #[arg(long, value_name = "TIMES", default_value_t = Scenario::default().solve_times)]
    solve_times: SolveTimes,
    /// Solve times between these, instead of --solve-times
    #[arg(long, value_name = "MIN-MAX")]
    solve_time_ms: Option<Span>,
    /// Multiplies solve times
    #[arg(long, value_name = "FACTOR", default_value_t = Scenario::default().time_scale)]
    time_scale: f64,
    /// Captchas that may wait for a worker
    #[arg(long, value_name = "N", default_value_t = Scenario::default().slots)]
    slots: usize,
    /// USD on the account
    #[arg(long, value_name = "USD", default_value_t = Scenario::default().balance)]
    balance: Money,
    /// A fault and its rate, for instance html=0.1 or hang@res=1/20; repeatable
    #[arg(long = "fault", value_name = "KIND=RATE", value_parser = fault)]
    faults: Vec<(FaultPoint, Rate)>,
    /// How late a slow reply comes
    #[arg(long, value_name = "MIN-MAX", default_value_t = Scenario::default().slow_ms)]
    slow_ms: Span,
    /// Fraction of image answers that hold a |
    #[arg(long, value_name = "FRACTION", default_value_t = Scenario::default().piped_answers)]
    piped_answers: f64,
    /// How a batch counts in block rule 1005
    #[arg(long, value_enum, default_value_t = Scenario::default().batch_counts_as)]
    batch_counts_as: BatchCountsAs,
    /// Never block
    #[arg(long)]
    no_block_rules: bool,
}

/// Without the key.
impl std::fmt::Debug for Switches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.scenario())
    }
}

impl Switches {
    /// # Errors
    /// The first switch that is out of its bounds.
    pub fn scenario(&self) -> Result<Scenario, ScenarioError> {
        Scenario {
            seed: self.seed,
            key: Key(self.key.clone()),
            solve_times: self.solve_time_ms.map_or(self.solve_times, SolveTimes::Between),
            time_scale: self.time_scale,
            slots: self.slots,
            balance: self.balance,
            faults: self.faults.iter().copied().collect(),
            slow_ms: self.slow_ms,
            piped_answers: self.piped_answers,
            batch_counts_as: self.batch_counts_as,
            block_rules: !self.no_block_rules,
            ..Scenario::default()
        }
        .check()
    }
}

fn fault(text: &str) -> Result<(FaultPoint, Rate), Malformed> {
    let (point, rate) = text.split_once('=').ok_or_else(|| Malformed::new(text, "KIND=RATE"))?;
    Ok((point.parse()?, rate.parse()?))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(arguments: &[&str]) -> Result<Options, clap::Error> {
        Command::try_parse_from([&["simulate"], arguments].concat()).map(|command| command.options)
    }

    #[test]
    fn without_arguments_the_scenario_is_the_default() {
        let options = parsed(&[]).unwrap();
        assert_eq!(options.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(options.switches.scenario().unwrap(), Scenario::default());
        assert!(!format!("{options:?}").contains(DEFAULT_KEY));
    }

    #[test]
    fn faults_repeat_and_times_can_be_given_in_milliseconds() {
        let arguments = ["--fault", "html=0.1", "--fault", "hang@res=1/20", "--solve-time-ms", "5-9"];
        let scenario = parsed(&arguments).unwrap().switches.scenario().unwrap();
        assert_eq!(scenario.faults.len(), 2);
        assert_eq!(scenario.solve_times.to_string(), "5-9");
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for wrong in ["--fault=html", "--fault=htm=1", "--fault=html=2", "--solve-times=soon", "--balance=-1"]
        {
            assert!(parsed(&[wrong]).is_err(), "{wrong}");
        }
        assert!(parsed(&["--key=short"]).unwrap().switches.scenario().is_err());
    }
}
