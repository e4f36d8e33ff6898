// SPDX-License-Identifier: Apache-2.0
def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
consumer.gets('hardware-sim', 'iommu-api', 'iommu-intel', 'jspecify', 'slf4j-api')
consumer.prints(
        consumer.onClassPath('com.example.simulation.Main'), 'opened intel [dmar0] on a machine from the class path')
true
