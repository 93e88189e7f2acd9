//! The half year of a real shop's orders that the project ships; source and licence stand beside the file.

use orderflow_producers::import::Input;

static FILE: &[u8] = include_bytes!("../../producers/data/online_retail_2010-12_to_2011-05.csv.gz");

/// The file, to be read from its beginning.
pub(crate) fn input() -> Input {
    Input::bytes("online_retail.csv.gz", FILE)
}
