//! When refusing record after record is no longer handling them: the limits on dead letters (rule 9).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::error::Halt;
use crate::settings::Settings;
use crate::store::{Flood, Lane};

/// The flood counters of every lane this process holds, as they are in the database.
#[derive(Debug, Default)]
pub(crate) struct FloodGauge(Mutex<HashMap<Lane, Flood>>);

impl FloodGauge {
    /// What a lane's counters are from now on.
    pub(crate) fn set(&self, lane: Lane, flood: Flood) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(lane, flood);
    }

    /// The lane is another member's now, and its counters are judged there.
    pub(crate) fn forget(&self, lane: Lane) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&lane);
    }

    /// Whether the group is flooded if `lane` comes to stand at `flood`. Judged over all lanes: a poisoned producer
    /// spreads its records over the partitions.
    pub(crate) fn judge(&self, lane: Lane, flood: Flood, settings: &Settings) -> Result<(), Halt> {
        let all = self.sum(lane, flood);
        if all.run > settings.flood_run {
            return Err(Halt::Flood(format!(
                "{} in a row, runtime.flood_run is {}",
                all.run, settings.flood_run
            )));
        }
        let share = settings.flood_percent;
        if all.records >= settings.flood_window && all.dead * 100 > all.records * share {
            return Err(Halt::Flood(format!(
                "{} of the last {} records, runtime.flood_percent is {share}",
                all.dead, all.records
            )));
        }
        Ok(())
    }

    fn sum(&self, lane: Lane, flood: Flood) -> Flood {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = lanes
            .iter()
            .filter(|(other, _)| **other != lane)
            .map(|(_, flood)| flood);
        others.fold(flood, |sum, flood| Flood {
            run: sum.run + flood.run,
            records: sum.records + flood.records,
            dead: sum.dead + flood.dead,
        })
    }
}

impl Flood {
    /// The counters after one more record. From two windows on, half of them is forgotten: there is always a whole window
    /// to judge, and what was long ago counts less and less.
    pub(crate) fn count(&mut self, dead: bool, window: u64) {
        if self.records >= window.saturating_mul(2) {
            self.records /= 2;
            self.dead /= 2;
        }
        self.records += 1;
        self.dead += u64::from(dead);
        self.run = if dead { self.run + 1 } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            flood_run: 3,
            flood_percent: 10,
            flood_window: 20,
            ..Settings::default()
        }
    }

    #[test]
    fn a_run_over_several_lanes_is_one_run() {
        let gauge = FloodGauge::default();
        gauge.set(
            0,
            Flood {
                run: 2,
                records: 2,
                dead: 2,
            },
        );
        let one = Flood {
            run: 1,
            records: 1,
            dead: 1,
        };
        assert_eq!(gauge.judge(1, one, &settings()), Ok(()));
        let two = Flood {
            run: 2,
            records: 2,
            dead: 2,
        };
        assert!(matches!(gauge.judge(1, two, &settings()), Err(Halt::Flood(_))));
    }

    #[test]
    fn a_run_over_several_lanes_is_over_when_each_has_had_a_good_record() {
        let gauge = FloodGauge::default();
        let flooded = Flood {
            run: 3,
            records: 3,
            dead: 3,
        };
        gauge.set(0, flooded);
        gauge.set(1, flooded);
        for lane in [0, 1] {
            let mut next = flooded;
            next.count(true, 20);
            assert!(gauge.judge(lane, next, &settings()).is_err(), "lane {lane}");
            let mut good = flooded;
            good.count(false, 20);
            gauge.set(lane, good);
        }
        let mut next = flooded;
        next.count(false, 20);
        next.count(true, 20);
        assert_eq!(gauge.judge(1, next, &settings()), Ok(()));
    }

    #[test]
    fn a_lane_that_is_gone_counts_no_longer() {
        let gauge = FloodGauge::default();
        let full = Flood {
            run: settings().flood_run,
            records: 1,
            dead: 1,
        };
        gauge.set(0, full);
        let mut one = Flood::default();
        one.count(true, 20);
        assert!(gauge.judge(1, one, &settings()).is_err());
        gauge.forget(0);
        assert_eq!(gauge.judge(1, one, &settings()), Ok(()));
    }

    #[test]
    fn a_share_is_judged_only_over_a_whole_window() {
        let gauge = FloodGauge::default();
        let few = Flood {
            run: 0,
            records: 19,
            dead: 19,
        };
        assert_eq!(gauge.judge(0, few, &settings()), Ok(()));
        let enough = Flood {
            run: 0,
            records: 20,
            dead: 3,
        };
        assert!(matches!(gauge.judge(0, enough, &settings()), Err(Halt::Flood(_))));
        let tenth = Flood {
            run: 0,
            records: 20,
            dead: 2,
        };
        assert_eq!(gauge.judge(0, tenth, &settings()), Ok(()));
    }

    #[test]
    fn a_record_taken_ends_the_run() {
        let mut flood = Flood::default();
        flood.count(true, 2);
        flood.count(false, 2);
        let (run, records, dead) = (flood.run, flood.records, flood.dead);
        assert_eq!((run, records, dead), (0, 2, 1));
    }

    #[test]
    fn there_is_always_a_whole_window_to_judge() {
        let mut flood = Flood::default();
        for n in 0..1_000_u64 {
            flood.count(n % 2 == 0, 100);
            assert!(flood.records <= 200, "what was long ago is forgotten");
            assert!(n < 100 || flood.records >= 100, "{n}: {}", flood.records);
        }
        assert!(flood.dead * 100 / flood.records >= 45, "its share is kept");
    }
}
