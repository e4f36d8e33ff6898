// SPDX-License-Identifier: Apache-2.0
// Run by the invoker plug-in when the project is made and tested.
def driver = new File(basedir, 'target/acme-iommu/iommu-acme')
def reports = new File(driver, 'target/surefire-reports').list().findAll { it.endsWith('.txt') }
if (!reports.any { it.contains('AcmeDriverConformanceTest') }) {
    throw new IllegalStateException("the kit did not run: $reports")
}
def left = []
new File(basedir, 'target/acme-iommu').eachFileRecurse { file ->
    if (file.isFile() && !file.path.contains('/target/acme-iommu/iommu-acme/target/')
            && !file.path.contains('/iommu-acme-sim/target/') && file.text =~ /(?i)minimal/) {
        left << file.name
    }
}
if (left) {
    throw new IllegalStateException("names of the example are left in $left")
}
true
