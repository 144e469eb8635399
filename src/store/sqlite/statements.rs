//! Everything that changes can do to the tables.
//!
//! The journal names a statement by its number. A number keeps its meaning and its parameters for ever, for a journal may
//! outlive the version that wrote it; the text follows the layout.

macro_rules! statements {
    ($($number:literal $name:ident $sql:literal;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Statement { $($name = $number,)* }

        impl Statement {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub const fn sql(self) -> &'static str {
                match self { $(Self::$name => $sql,)* }
            }
        }
    };
}

#[rustfmt::skip]
statements! {
     1 NoteIntent      "INSERT OR REPLACE INTO intents (id, client, method, at) VALUES (?, ?, ?, ?)";
     2 Accept          "INSERT INTO captchas (id, client, method, uploaded_at, same, idempotency_key, is_delivered)
                        SELECT ?, client, method, ?, ?, ?, 0 FROM intents WHERE id = ?";
     3 ForgetIntent    "DELETE FROM intents WHERE id = ?";
     4 IntentIsUnknown "UPDATE intents SET is_unknown = 1 WHERE id = ?";
     5 Deliver         "UPDATE captchas SET is_delivered = 1 WHERE id = ?";
     6 Solve           "UPDATE captchas SET state = ?, answer = ?, price = ?, solved_at = ? WHERE id = ?";
     7 Price           "UPDATE captchas SET price = ? WHERE id = ? AND state <> 'open'";
     8 Report          "UPDATE captchas SET report = ? WHERE id = ?";
     9 AddPingback     "INSERT OR IGNORE INTO pingbacks (client, address) VALUES (?, ?)";
    10 RemovePingback  "DELETE FROM pingbacks WHERE client = ? AND address = ?";
    11 ClearPingbacks  "DELETE FROM pingbacks WHERE client = ?";
    12 KeepBudgets     "INSERT OR REPLACE INTO kept_values (name, value) VALUES ('budgets', ?)";
    13 KeepReading     "INSERT OR REPLACE INTO readings
                            (hour, place, at, account, balance, spent, charged, left_out, standing)
                        VALUES (?1, EXISTS (SELECT 1 FROM readings WHERE hour = ?1 AND place = 0),
                                ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    14 WantDelivery    "INSERT INTO deliveries (id, client, target, since) VALUES (?, ?, ?, ?)
                        ON CONFLICT (id) DO UPDATE SET
                            client = excluded.client, target = excluded.target, since = excluded.since,
                            code = NULL, dead_at = NULL, why = NULL
                        WHERE dead_at IS NOT NULL";
    15 DeliveryIsDue   "INSERT OR REPLACE INTO deliveries (id, client, target, since, code) VALUES (?, ?, ?, ?, ?)";
    16 DeliveryIsOver  "DELETE FROM deliveries WHERE id = ?";
    17 BuryDelivery    "UPDATE deliveries SET dead_at = ?, why = ? WHERE id = ?";
    18 KeepDead        "DELETE FROM deliveries WHERE id IN (
                            SELECT id FROM deliveries WHERE dead_at IS NOT NULL
                            ORDER BY dead_at DESC, id DESC LIMIT -1 OFFSET ?)";
    19 StopClient      "INSERT OR REPLACE INTO kept_values (name, value) VALUES ('stopped ' || ?, '')";
    20 ResumeClient    "DELETE FROM kept_values WHERE name = 'stopped ' || ?";
}

impl Statement {
    pub const fn number(self) -> u8 {
        self as u8
    }

    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|statement| statement.number() == number)
    }

    /// Whether of several in a row the last alone has an effect.
    pub const fn is_replaced_by_the_next(self) -> bool {
        matches!(self, Self::KeepBudgets)
    }
}
