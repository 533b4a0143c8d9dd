//! The formats of a verb that prints data. Does not know the data.

/// `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One object a line
    Json,
    /// With a line of names first
    Csv,
}

/// `--format` of a verb that prints one object, and not rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ObjectFormat {
    /// For people
    #[default]
    Table,
    /// One object
    Json,
}
