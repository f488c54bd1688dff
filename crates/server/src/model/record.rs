//! The macro that declares a table's row.

/// Declares a struct that is a row of a table: `field column: Type`. The fields under `computed` are not stored.
macro_rules! record {
    (
        $(#[$meta:meta])*
        struct $name:ident in $table:literal {
            $(#[$first_meta:meta])* $first:ident $first_column:ident: $first_type:ty,
            $($(#[$field_meta:meta])* $field:ident $column:ident: $type:ty,)*
        }
        $(computed { $($(#[$extra_meta:meta])* $extra:ident: $extra_type:ty,)* })?
    ) => {
        crate::sql::row! {
            $(#[$meta])*
            #[derive(Debug, Clone, Default, serde::Serialize)]
            struct $name {
                $(#[$first_meta])* $first $first_column: $first_type,
                $($(#[$field_meta])* $field $column: $type,)*
            }
            $(computed { $($(#[$extra_meta])* $extra: $extra_type,)* })?
        }

        #[allow(dead_code, reason = "not every table is written whole")]
        impl $name {
            /// The statement that inserts it as a new row.
            pub(crate) fn insert(&self) -> crate::sql::Query {
                static INSERT: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
                    crate::sql::insert($table, &[stringify!($first_column), $(stringify!($column)),*])
                });
                self.bind_to(INSERT.as_str())
            }

            /// `statement` with every column bound, in the order of their declaration.
            pub(crate) fn bind_to(
                &self,
                statement: impl Into<crate::sql::Text>,
            ) -> crate::sql::Query {
                crate::sql::query(statement).bind(&self.$first)$(.bind(&self.$field))*
            }
        }
    };
}
pub(crate) use record;

/// For `skip_serializing_if`.
pub(super) fn is_zero(number: &i64) -> bool {
    *number == 0
}
