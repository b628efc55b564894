//! Which mailboxes have too few partners: said at import, in `status` and in `config check`.

use sqlx::PgPool;

use crate::adapters::postgres::view::{self, Group};

/// Returns a sentence for each owner and domain whose mailboxes will have to write to each other, or for a pool that is
/// too small.
///
/// Mails that always cross the group are possible only for g <= (n + 1 - quota) / 2, with g the group's size and n the
/// pool's (`domain::pairing`). One group alone can't be crossed and is not warned of.
pub async fn warnings(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    Ok(of_groups(&view::groups(pool).await?))
}

fn of_groups(groups: &[Group]) -> Vec<String> {
    let Some(pool) = groups.first().map(|group| group.pool) else { return Vec::new() };
    if pool == 1 {
        return vec!["there is one mailbox only: it has nobody to write to; enrol another one".to_owned()];
    }
    let mut warnings: Vec<String> = groups.iter().filter_map(|group| of_group(group, groups)).collect();
    let most = groups.iter().map(|group| i64::from(group.quota)).max().unwrap_or(0);
    if pool - 1 < most {
        warnings.push(format!(
            "{pool} mailboxes owe up to {most} mails a day and have {} partners: some are written to twice a day",
            pool - 1
        ));
    }
    warnings
}

fn of_group(group: &Group, groups: &[Group]) -> Option<String> {
    let Group { kind, name, mailboxes, quota, pool } = group;
    let alone = groups.iter().filter(|other| other.kind == *kind).count() == 1;
    let crossing = (pool + 1 - i64::from(*quota)).div_euclid(2).max(0);
    (!alone && *mailboxes > crossing).then(|| {
        format!(
            "{kind} {name} has {mailboxes} of {pool} mailboxes: with {quota} mails a day only groups of up to {crossing} \
             always write to others, so some of its mails stay within"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(kind: &str, name: &str, mailboxes: i64, pool: i64) -> Group {
        Group { kind: kind.into(), name: name.into(), mailboxes, quota: 30, pool }
    }

    #[test]
    fn groups_that_cannot_always_cross_are_named() {
        let halves = [group("user", "a@x", 24, 48), group("user", "b@x", 24, 48)];
        assert_eq!(of_groups(&halves).len(), 2);
        let sixths: Vec<Group> = (0..6).map(|i| group("domain", &format!("{i}.test"), 8, 48)).collect();
        assert!(of_groups(&sixths).is_empty());
        assert!(of_groups(&[group("user", "a@x", 48, 48)]).is_empty());
    }

    #[test]
    fn a_pool_that_is_too_small_is_named() {
        assert!(of_groups(&[group("user", "a@x", 1, 1)])[0].contains("one mailbox only"));
        assert!(of_groups(&[group("user", "a@x", 20, 20)])[0].contains("twice a day"));
        assert!(of_groups(&[]).is_empty());
    }
}
