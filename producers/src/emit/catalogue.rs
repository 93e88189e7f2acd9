//! The made-up shop: its products, their prices, and which is asked for how often.

use orderflow_domain::ProductId;

use super::Skew;

/// What a shop of gifts asks for one, in pence.
const PRICES: [i64; 16] = [
    29, 42, 65, 85, 125, 145, 165, 195, 210, 255, 295, 375, 495, 795, 995, 1_495,
];

/// The name of a product.
pub(super) fn product_id(index: u32) -> ProductId {
    ProductId(format!("P{index:05}").into())
}

/// A product's price, the same in every order. A multiplier that shares no factor with the number of prices mixes dear
/// and cheap over popular and rare.
pub(super) fn price(index: u32) -> i64 {
    PRICES[index.wrapping_mul(7) as usize % PRICES.len()]
}

/// Draws products by their demand, in one look-up: product of the n-th of 65,536 equally likely slots.
#[derive(Debug)]
pub(super) struct Demand(Box<[u16]>);

const SLOTS: usize = 1 << 16;

impl Demand {
    /// Every product gets a slot, the rest go by weight. `products` is 1 to 20,000.
    pub(super) fn new(products: u32, skew: Skew) -> Self {
        let weights: Vec<u64> = (1..=u64::from(products)).map(|rank| weight(rank, skew)).collect();
        let total: u64 = weights.iter().sum();
        let spare = (SLOTS - weights.len()) as u64;
        let mut slots = Vec::with_capacity(SLOTS);
        let mut sum = 0;
        for (product, weight) in weights.iter().enumerate() {
            sum += weight;
            let end = product + 1 + usize::try_from(spare * sum / total).unwrap_or(SLOTS);
            slots.resize(end, u16::try_from(product).unwrap_or(u16::MAX));
        }
        Self(slots.into())
    }

    pub(super) fn draw(&self, random: u16) -> u32 {
        self.0[usize::from(random)].into()
    }
}

/// In units small enough that the rarest of 20,000 still has one.
const fn weight(rank: u64, skew: Skew) -> u64 {
    match skew {
        Skew::Even => 1,
        Skew::Zipf => 1_000_000_000 / rank,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(products: u32, skew: Skew) -> Vec<usize> {
        let demand = Demand::new(products, skew);
        let mut counts = vec![0; products as usize];
        for random in 0..=u16::MAX {
            counts[demand.draw(random) as usize] += 1;
        }
        counts
    }

    #[test]
    fn every_product_is_asked_for_and_popular_ones_more() {
        for products in [1, 2, 50, 3_375, 20_000] {
            let counts = slots(products, Skew::Zipf);
            assert!(counts.iter().all(|count| *count >= 1), "{products}");
            assert!(counts.windows(2).all(|pair| pair[0] + 1 >= pair[1]), "{products}");
        }
        let counts = slots(50, Skew::Zipf);
        assert!((8..=12).contains(&(counts[0] / counts[9])), "{counts:?}");
    }

    #[test]
    fn even_is_even() {
        let counts = slots(3_375, Skew::Even);
        assert!(counts.iter().all(|count| (19..=20).contains(count)));
    }
}
