// SPDX-License-Identifier: Apache-2.0
def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
consumer.gets('iommu-api', 'iommu-intel', 'jspecify', 'slf4j-api')
consumer.prints(consumer.onClassPath('com.example.consumer.Main'), 'found intel from the class path')
true
