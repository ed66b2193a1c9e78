//! Who has an account on this machine, as far as its files tell.

pub(super) struct Users {
    passwd: String,
    group: String,
    /// Whether the two files could be read, or are none.
    known: bool,
}

impl Users {
    pub(super) fn read() -> Self {
        let read = |path| match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            // As in an image that holds the gateway alone.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(String::new()),
            Err(_) => None,
        };
        let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
        let known = passwd.is_some() && group.is_some();
        Self { passwd: passwd.unwrap_or_default(), group: group.unwrap_or_default(), known }
    }

    /// `user 33 (www-data)`
    pub(super) fn name(&self, user: u32) -> String {
        let mut lines = fields(&self.passwd);
        let found = lines.find(|line| line.get(2).and_then(|id| id.parse().ok()) == Some(user));
        match found.and_then(|line| line.first().copied()) {
            Some(name) => format!("user {user} ({name})"),
            None => format!("user {user}"),
        }
    }

    /// Whether nobody else is in a group but root, from whom nothing is safe anyway: by its
    /// members and by who begins in it.
    pub(super) fn is_alone_in(&self, user: u32, group: u32) -> bool {
        let number = |line: &[&str], field: usize| -> Option<u32> { line.get(field)?.parse().ok() };
        let is_ours = |line: &[&str]| [Some(user), Some(0)].contains(&number(line, 2));
        let others_begin_in_it =
            fields(&self.passwd).any(|line| number(&line, 3) == Some(group) && !is_ours(&line));
        let our_names: Vec<&str> = fields(&self.passwd)
            .filter(|line| is_ours(line))
            .filter_map(|line| line.first().copied())
            .collect();
        let others_are_in_it = fields(&self.group)
            .filter(|line| number(line, 2) == Some(group))
            .flat_map(|line| line.get(3).map_or("", |members| *members).split(','))
            .any(|member| !member.is_empty() && !our_names.contains(&member));
        self.known && !others_begin_in_it && !others_are_in_it
    }
}

/// The fields of each line.
fn fields(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.trim_end().split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::Users;

    fn users(group: &str) -> Users {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n\
                      ben:x:1001:100::/home/ben:/bin/sh\ncleo:x:1002:100::/home/cleo:/bin/sh\n";
        Users { passwd: passwd.to_owned(), group: group.to_owned(), known: true }
    }

    #[test]
    fn a_group_of_ones_own_is_one_that_nobody_else_is_in() {
        let plain = users("ann:x:1000:\nusers:x:100:\n");
        assert!(plain.is_alone_in(1000, 1000));
        assert!(!plain.is_alone_in(1001, 100), "cleo begins in it too");
        assert!(plain.is_alone_in(1001, 65532), "nobody else is named in it");
        assert!(users("ann:x:1000:ann\n").is_alone_in(1000, 1000));
        assert!(!users("ann:x:1000:ben\n").is_alone_in(1000, 1000));
        assert!(!users("ann:x:1000:ann,ben\n").is_alone_in(1000, 1000));
        // As OpenShift runs a pod; from root nothing is safe anyway.
        assert!(plain.is_alone_in(1000, 0), "only root begins in it");
        assert!(users("root:x:0:root\n").is_alone_in(1000, 0), "and is named in it");
        assert!(!users("root:x:0:ben\n").is_alone_in(1000, 0));
        let unknown = Users { known: false, ..plain };
        assert!(!unknown.is_alone_in(1000, 1000), "who is in it cannot be told");
    }

    #[test]
    fn a_user_is_named_where_the_name_is_known() {
        assert_eq!(users("").name(1000), "user 1000 (ann)");
        assert_eq!(users("").name(4242), "user 4242");
    }
}
