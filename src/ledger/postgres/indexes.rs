//! The indexes of a station by which years of rows are looked through: those that a file has since its versions 9 and 10. They are built
//! while the owner plays, one after the other, and keep nobody from reading and writing: of millions of rows each takes minutes. Without them
//! answers are slow, and the page looks for long shows by their jobs. Does not know who asks what.

use tokio_postgres::types::Type;

use super::{Connection, DatabaseError, Station};
use crate::ledger::columns::long_until;

/// Names, and what follows `ON occurrence`.
const INDEXES: [(&str, &str); 6] = [
    ("occurrence_long", concat!("((", long_until!(), "), start_ms) WHERE (", long_until!(), ") IS NOT NULL")),
    ("occurrence_room", "((spec::json ->> 'room'), start_ms)"),
    ("occurrence_outcome_job", "(outcome, job, start_ms) WHERE outcome <> 'ended'"),
    ("occurrence_outcome_room", "(outcome, (spec::json ->> 'room'), start_ms) WHERE outcome <> 'ended'"),
    ("occurrence_failed", "(coalesce(end_ms, ended_ms)) WHERE outcome = 'failed'"),
    ("occurrence_removed", "(coalesce(end_ms, 9223372036854775807)) WHERE reason = 'removed'"),
];

/// The same as [`build`]; where that fails, the log says so.
pub async fn build_or_warn(station: Station) {
    if let Err(error) = build(&station).await {
        tracing::warn!("an index of the ledger was not built, so `history` by room or outcome, and the page, may be slow: {error}");
    }
}

/// Builds those that are missing. It takes as long as it takes, and what was begun is begun again the next time.
///
/// Errors: the database fails, or the role may not.
pub async fn build(station: &Station) -> Result<(), DatabaseError> {
    let schema = station.schema();
    let mut connection = Connection::open(station.migrate()).await?;
    connection.batch("SET statement_timeout = 0; SET lock_timeout = 0").await?;
    for (name, of) in INDEXES {
        let index = format!("{schema}.{name}");
        // One whose building was cut off is there, and of no use. One that is just being built is somebody else's.
        let found = "SELECT indisvalid OR EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE index_relid = indexrelid) \
            FROM pg_index WHERE indexrelid = to_regclass($1)";
        let found = connection.query_opt(found, &[(&index, Type::TEXT)]).await?;
        match found.map(|row| row.try_get::<_, bool>(0)).transpose()? {
            Some(true) => continue,
            Some(false) => connection.batch_unlimited(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?,
            None => {}
        }
        connection.batch_unlimited(&format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {schema}.occurrence {of}")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::schema::versions::MIGRATIONS;
    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn a_file_has_the_same_indexes() {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(folder.path()).expect("a ledger");
        let sql = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
        let mut statement = ledger.database.sqlite().prepare(sql).expect("a query");
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))).expect("rows");
        let written: BTreeMap<String, String> = rows.collect::<Result<_, _>>().expect("texts");
        let in_one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace("( CASE", "(CASE");
        // PostgreSQL wants parentheses about an expression.
        let long = concat!("(", long_until!(), ")");
        for (name, of) in INDEXES {
            let of = of.replace("(spec::json ->> 'room')", "spec ->> 'room'").replace(long, long_until!());
            let index = written.get(name).map(|sql| in_one_line(sql));
            assert_eq!(index, Some(in_one_line(&format!("CREATE INDEX {name} ON occurrence {of}"))));
        }
        let of_schema = MIGRATIONS.concat();
        let built: BTreeSet<&str> = written.keys().map(String::as_str).collect();
        let known = built
            .iter()
            .filter(|name| of_schema.contains(&format!("CREATE INDEX {name} ON ")) != INDEXES.iter().any(|(own, _)| own == *name));
        assert_eq!(known.copied().collect::<BTreeSet<_>>(), built, "an index is in a file only, or built twice in a station");
    }
}
