use std::time::Duration;

use super::super::tests::{prefix, shared_store};
use super::{SCRIPT, read};
use crate::auth::bucket::{BucketLimit, Micros, SharedBucket};
use crate::auth::ports::{Allowance, Buckets, ReportAnswer, Usage};
use crate::auth::source::Source;

const LIMIT: BucketLimit = BucketLimit { per_second: 20, burst: 60 };
const HERE: Source = Source::V4(0x7f00_0001);
const THERE: Source = Source::V6(42);

fn spent(source: Source, tokens: i32, counted_in: u64) -> Usage {
    Usage { source, tokens, age: Duration::ZERO, counted_in }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_see_what_the_others_spent_and_how_many_they_are() {
    let prefix = prefix();
    let (one, other) = (shared_store(&prefix).await, shared_store(&prefix).await);
    let answer = one.engine.report(LIMIT, &[]).await.unwrap();
    assert_eq!((answer.replicas, answer.allowances.len()), (1, 0));
    let report = [spent(HERE, 59, 0), spent(THERE, 10, 0)];
    let answer = one.engine.report(LIMIT, &report).await.unwrap();
    let allowances: Vec<u32> = answer.allowances.iter().map(|allowance| allowance.tokens).collect();
    assert_eq!(allowances, [60, 60], "nobody else is active");
    let answer = other.engine.report(LIMIT, &[spent(HERE, 60, 0)]).await.unwrap();
    assert_eq!(answer.replicas, 2);
    assert!(answer.allowances[0].level < -50.0, "{answer:?}");
    assert_eq!(answer.allowances[0].tokens, 0);
    let answer = one.engine.report(LIMIT, &[spent(HERE, 0, 0)]).await.unwrap();
    assert_eq!(answer.allowances[0].tokens, 0);
}

/// The script is told the time as arguments, and every answer compared.
#[tokio::test(flavor = "multi_thread")]
async fn the_script_does_what_the_model_does() {
    let store = shared_store(&prefix()).await;
    let engine = &store.engine;
    let mut dice = 7_u64;
    let mut roll = |sides: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (dice >> 33) % sides
    };
    let mut now = Micros(1_700_000_000_000_000);
    let mut model = SharedBucket::new(LIMIT, now);
    for step in 0..1000 {
        now =
            now.plus(Duration::from_micros([roll(900), roll(300_000), roll(5_000_000)][step % 3]));
        let second = now.0 / 1_000_000;
        let tokens = i32::try_from(roll(6) * roll(9)).unwrap() - 1;
        let counted_in = second - roll(3);
        let age = Duration::from_micros(roll(500_000));
        let spent = Usage { source: HERE, tokens, age, counted_in };
        let time = format!("{{'{second}', '{}'}}", now.0 % 1_000_000);
        let mut command = redis::cmd("EVAL");
        command
            .arg(SCRIPT.replace("redis.call('TIME')", &time))
            .arg(2)
            .arg(engine.names.replicas())
            .arg(engine.names.bucket(HERE))
            .arg(&["me", "10", "20", "60"])
            .arg(tokens)
            .arg(u64::try_from(age.as_micros()).unwrap())
            .arg(counted_in);
        let numbers: Vec<i64> =
            redis::from_redis_value(engine.link.call(&command).await.unwrap()).unwrap();
        let answer = read(&numbers, 1).unwrap();
        let expected = model.book(LIMIT, now, spent);
        let Allowance { level, tokens, reserved } = answer.allowances[0];
        assert_eq!((tokens, reserved), (expected.tokens, expected.reserved), "step {step}");
        assert!((level - expected.level).abs() < 1e-3, "step {step}: {level} {expected:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_somebody_wrote_over_is_a_full_one() {
    let store = shared_store(&prefix()).await;
    let key = store.engine.names.bucket(HERE);
    for command in [
        redis::cmd("SET").arg(&key).arg("sixty"),
        redis::cmd("SET").arg(&key).arg("x 1 2 3 4"),
        redis::cmd("LPUSH").arg(&key).arg("1"),
    ] {
        store.engine.link.call(redis::cmd("DEL").arg(&key)).await.unwrap();
        store.engine.link.call(command).await.unwrap();
        let answer = store.engine.report(LIMIT, &[spent(HERE, 1, 0)]).await.unwrap();
        assert_eq!(answer.allowances[0].tokens, 60);
    }
    let lifetime: i64 = store.engine.query(redis::cmd("PTTL").arg(&key)).await.unwrap();
    assert!((1..=2050).contains(&lifetime), "{lifetime}");
}

#[test]
fn an_answer_of_another_form_is_an_error() {
    let whole = [7, 3, -1_500_000, 0, 0];
    let allowance = Allowance { level: -1.5, tokens: 0, reserved: 0 };
    let expected = ReportAnswer { allowances: vec![allowance], second: 7, replicas: 3 };
    assert_eq!(read(&whole, 1).unwrap(), expected);
    for (numbers, addresses) in [
        (&whole[..0], 0),
        (&whole[..1], 0),
        (&whole[..4], 1),
        (&whole[..], 0),
        (&whole[..], 2),
        (&[7, 3, 0, -1, 0], 1),
        (&[-7, 3], 0),
    ] {
        assert!(read(numbers, addresses).is_err(), "{numbers:?}");
    }
}
