//! A list that grows without being copied: doubling a vector of gigabytes needs them twice.

const PIECE: usize = 1 << 12;

/// A list in pieces of [`PIECE`] entries. The first grows as a vector does, since most lists are short.
#[derive(Debug)]
pub struct Pieces<T>(Vec<Vec<T>>);

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Pieces(vec![Vec::new()])
    }
}

impl<T> Pieces<T> {
    pub fn len(&self) -> usize {
        (self.0.len() - 1) * PIECE + self.0.last().map_or(0, Vec::len)
    }

    /// Removes all entries. The room of the first piece stays.
    pub fn clear(&mut self) {
        self.0.truncate(1);
        self.0[0].clear();
    }

    pub fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some(last) if last.len() < PIECE => last.push(value),
            _ => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(value);
                self.0.push(piece);
            }
        }
    }

    #[inline]
    pub fn get(&self, at: usize) -> &T {
        &self.0[at / PIECE][at % PIECE]
    }

    #[inline]
    pub fn get_mut(&mut self, at: usize) -> &mut T {
        &mut self.0[at / PIECE][at % PIECE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_in_their_places() {
        let mut list = Pieces::default();
        for i in 0..3 * PIECE + 1 {
            assert_eq!(list.len(), i);
            list.push(i);
        }
        *list.get_mut(PIECE) += 1;
        let expected = |i| if i == PIECE { i + 1 } else { i };
        assert!((0..list.len()).all(|i| *list.get(i) == expected(i)));
        list.clear();
        assert_eq!(list.len(), 0);
        list.push(7);
        assert_eq!((list.len(), *list.get(0)), (1, 7));
    }
}
