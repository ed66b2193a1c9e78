use tracing::subscriber::with_default;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::pipeline::tests::Logged;

#[test]
fn fields_that_are_not_believed_are_counted_and_told_once() {
    for ignored in [Ignored::Untrusted, Ignored::ProxyHeader] {
        let counters = Arc::<Counters>::default();
        let report = IgnoredReport::new(Arc::clone(&counters));
        let logged = Logged::default();
        with_default(tracing_subscriber::registry().with(logged.clone()), || {
            for last in 1..4 {
                report.report(IpAddr::from([192, 0, 2, last]), ignored);
            }
        });
        assert_eq!(counters.forwarding_ignored.value(), 3, "{ignored:?}");
        assert_eq!(logged.events(), 1, "{ignored:?}");
    }
}
