//! The rows of one Kubernetes event. The fuzz targets use it, too.

use sf_parquet::k8s::expand::{ItemRow, PortRow, Rows, Warning};

#[derive(Default)]
pub struct Collected {
    pub items: Vec<ItemRow>,
    pub ports: Vec<PortRow>,
    pub warnings: Vec<Warning>,
}

impl Rows for Collected {
    fn item(&mut self, row: ItemRow) {
        self.items.push(row);
    }

    fn port(&mut self, row: PortRow) {
        self.ports.push(row);
    }

    fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }
}
