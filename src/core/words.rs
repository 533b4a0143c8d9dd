//! The words of an enum: one table, which the reader of YAML, the ledger and our outputs share. It does not know which enums
//! there are.

/// Gives an enum without data its words. A value without a word does not compile.
macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// Every word with its value, in the order of the manual.
            pub const WORDS: &[(&str, $type)] = &[$(($word, $type::$variant)),+];

            /// The word of this value, in YAML, in the ledger and in our JSON.
            pub fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $word),+
                }
            }

            /// The value of a word.
            pub fn from_name(name: &str) -> Option<$type> {
                $type::WORDS.iter().find(|(word, _)| *word == name).map(|(_, value)| *value)
            }
        }
    };
}

pub(crate) use words;
