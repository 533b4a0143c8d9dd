//! The promises of the rundown: each state has its look, pauses and cuts stand where they will be, and nothing is merged across now.
//! Where the values come from is another's.
