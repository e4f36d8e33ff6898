// SPDX-License-Identifier: Apache-2.0
def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
consumer.gets('hardware-sim', 'iommu-amd', 'iommu-api', 'jspecify', 'slf4j-api')
consumer.prints(consumer.onClassPath('com.example.dma.Main'), '1234')
consumer.prints(consumer.onModulePath('com.example.dma/com.example.dma.Main'), '1234')
true
