//! The example does what it says: it is what a service author starts from.

#[path = "../examples/page_views.rs"]
#[expect(dead_code, reason = "its main is for whoever runs it")]
mod page_views;

use std::time::Duration;

/// It gives up by itself after 20 s; starting and draining come on top.
const DONE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn page_views_counts_each_view_once_though_each_is_sent_twice() {
    let counted = tokio::time::timeout(DONE, page_views::count()).await;
    assert_eq!(counted.expect("an end in time").expect("no error"), 100);
}
