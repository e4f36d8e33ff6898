// SPDX-License-Identifier: Apache-2.0
def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
if (!consumer.artifacts.contains('guice') || !consumer.path.contains('guava-')) {
    throw new IllegalStateException("a consumer that adds Guice gets ${consumer.artifacts}")
}
// Guice is an automatic module, and so can't say that it needs Guava and jakarta.inject, which are modules.
consumer.prints(
        consumer.onWholeModulePath('com.example.simulation/com.example.simulation.Main'),
        'opened intel [dmar0] on a machine from module org.iommu4j.sim')
true
